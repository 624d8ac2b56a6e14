"""The lifecycle node ``segmentation``: subscribes to camera images, publishes masks and class coverage.

The executor's thread receives frames and answers services; a ``Worker`` thread segments and publishes.
Run it with ``python -m unet_seg_ros.ros.node --ros-args …``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from unet_seg_ros.ros import exit_signals  # before the imports that take long
from unet_seg_ros.ros.command_line import check_arguments

try:
    import rclpy

    from unet_seg_msgs.msg import ClassCoverage  # noqa: F401  (so that a missing one is reported here)
except ImportError as error:
    raise SystemExit(
        f"unet_seg_ros: {error}. Source a ROS 2 workspace in which unet_seg_ros and unet_seg_msgs are built, "
        "or use the .venv that `make test` makes."
    ) from error

from rcl_interfaces.msg import SetParametersResult
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.ros import shared_memory
from unet_seg_ros.ros.bringup import NODE_NAME
from unet_seg_ros.ros.diagnostic_levels import ERROR, OK, WARN
from unet_seg_ros.ros.diagnostics import MAX_TEXT, DiagnosticsPublisher, Report
from unet_seg_ros.ros.lifecycle import Bond, answer_impossible_requests, guarded
from unet_seg_ros.ros.parameter_files import misdirected
from unet_seg_ros.ros.parameters import Parameters
from unet_seg_ros.text import last_words, never_fail_to_print, one_line
from unet_seg_ros.vocabulary import CAMERA_TASK, ENGINE_TASK

if TYPE_CHECKING:
    from unet_seg_ros.ros.pipeline import Pipeline

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SegmentationNode(LifecycleNode):
    """README.md describes its topics, parameters and life cycle."""

    def __init__(self, short_of_memory: str = "") -> None:
        super().__init__(NODE_NAME)
        self._short_of_memory = short_of_memory
        """What is wrong with the space for shared memory; empty if nothing is."""
        if short_of_memory:
            self.get_logger().warning(short_of_memory)
        self._parameters_ours = Parameters(self)
        self._pipeline: Pipeline | None = None
        """Exists while the node is configured."""
        self._active = False
        self._configured: dict[str, Any] = {}  # the parameters' values at the last configure
        self._problem = ""  # why it cannot be configured or stopped being active; empty if nothing is wrong
        self._bond = Bond(self)
        self._diagnostics = DiagnosticsPublisher(self)
        self.create_timer(1.0, self._every_second, clock=Clock(clock_type=ClockType.STEADY_TIME))
        answer_impossible_requests(self)

    # ---- life cycle

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._configure()

    def _configure(self) -> TransitionCallbackReturn:
        self._release()
        try:
            from unet_seg_ros.ros.pipeline import Pipeline

            values = self._parameters_ours.values()
            self._pipeline = Pipeline(self, self._parameters_ours.settings(values))
        except ImportError as error:
            return self._refuse(f"{error}; install it with: python3 -m pip install -r requirements/run.txt")
        except (ValueError, OutOfMemory, DeviceLost) as error:
            return self._refuse(f"{error}. Set the parameter and try again.")
        self._configured, self._problem = values, ""
        segmenter = self._pipeline.segmenter
        self.get_logger().info(
            f"{segmenter.model_id} on {segmenter.engine.device} in {segmenter.engine.precision}. "
            f"Terms: {one_line(segmenter.manifest.data_terms)}"
        )
        return SUCCESS

    def _refuse(self, reason: str) -> TransitionCallbackReturn:
        self.failed(f"cannot configure: {reason}")
        self.get_logger().error(self._problem)
        return FAILURE

    def failed(self, reason: str) -> None:
        """Release everything, and report ``reason`` in the diagnostics."""
        self._release()
        self._problem = one_line(reason, MAX_TEXT)

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        changed = self._parameters_ours.changed_since(self._configured)
        if changed or self._problem or self._pipeline is None:
            why = f"changed: {', '.join(changed)}" if changed else self._problem or "not configured"
            self.get_logger().info(f"configuring again ({why})")
            if self._configure() != SUCCESS:
                return FAILURE
        assert self._pipeline is not None  # configured
        self._pipeline.start(self._give_up)
        self._active = True
        self._bond.start(self.get_parameter("bond_heartbeat_period").value)
        return SUCCESS

    @guarded
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return SUCCESS

    @guarded
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        self._problem = ""
        return SUCCESS

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return SUCCESS

    def _stop(self) -> None:
        self._active = False
        self._bond.stop()
        if self._pipeline is not None:
            self._pipeline.stop()

    def _release(self) -> None:
        self._stop()
        if self._pipeline is not None:
            self._pipeline.destroy()
            self._pipeline = None

    def destroy_node(self) -> None:
        self._stop()
        super().destroy_node()

    def autostart(self) -> None:
        """Configure and activate if the parameter ``autostart`` is true; after a failure the node stays in its
        state."""
        given = misdirected(sys.argv, self.get_fully_qualified_name())
        for sentence in (*self._parameters_ours.unused(), *given):
            self.get_logger().warning(sentence)
        if self.get_parameter("autostart").value and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    # ---- parameters

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Check every value first, then do what rclpy does. The parameter services of all ROS versions call this
        method."""
        try:
            prepared = self._parameters_ours.prepared(parameter_list, self._active, self._configured)
            result = super().set_parameters_atomically(prepared)
            if result.successful and self._pipeline is not None:
                self._pipeline.update(self._parameters_ours.settings(self._configured))
            return result
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))

    def _give_up(self, reason: str) -> None:
        """The device is lost: go to inactive. The executor's thread does it, because it waits for the calling
        thread."""
        self._problem = f"device lost: {reason}. Restart the node, or set device to cpu."
        self.get_logger().error(f"{self._problem} Going inactive.")
        if self.executor is not None:
            self.executor.create_task(lambda: self.trigger_deactivate() if self._active else None)

    # ---- diagnostics

    def _every_second(self) -> None:
        if self._pipeline is not None:
            self._pipeline.every_second()
        self._diagnostics.publish(self._reports())

    def _reports(self) -> Iterator[Report]:
        """The reports of all parts. diagnostic_aggregator sorts them by their names."""
        state = self._state_machine.current_state[1]
        level, message = (ERROR, self._problem) if self._problem else (OK, state)
        if self._short_of_memory and level == OK:
            level, message = WARN, self._short_of_memory
        yield Report("node", level, message, {"state": state})
        if self._pipeline is not None:
            yield from self._pipeline.reports(self._problem)
        else:
            for name in self.get_parameter("cameras").value:
                yield Report(f"{CAMERA_TASK}{name}", level, message, hardware_id=name)
            yield Report(ENGINE_TASK, level, self._problem or "not configured")


def main(args: list[str] | None = None) -> None:
    never_fail_to_print()
    check_arguments(sys.argv[1:] if args is None else args)
    with suppress(KeyboardInterrupt):  # a signal that arrives while another one is handled
        _run(args)


def _run(args: list[str] | None) -> None:
    short_of_memory = shared_memory.fit(os.environ)
    node = None
    try:
        rclpy.init(args=args)
        exit_signals.enter(exit_signals.BEGINNING)
        node = SegmentationNode(short_of_memory)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.autostart()
        exit_signals.enter(exit_signals.SPINNING)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as error:
        if exit_signals.begun() and not rclpy.ok():
            return  # a signal has shut ROS down during a transition
        if node is None and isinstance(error, (ValueError, RCLError)):  # such as an unreadable parameter file
            advice = "; set ROS_LOG_DIR to a folder that can be written" if "logging" in str(error) else ""
            raise SystemExit(f"{NODE_NAME}: {last_words(error)}{advice}") from error
        raise
    finally:
        _end(node)


def _end(node: SegmentationNode | None) -> None:
    try:
        with suppress(*(() if rclpy.ok() else (Exception,))):  # after ROS has shut down, errors do not matter
            if node is not None:
                node.destroy_node()
        rclpy.try_shutdown()
    except KeyboardInterrupt:  # a second Ctrl-C
        sys.exit(130)


if __name__ == "__main__":
    main()

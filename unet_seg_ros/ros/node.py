"""The lifecycle node ``segmentation``: camera topics in, masks and class coverage out.

A thin shell: the executor's thread receives frames and answers services, a ``Worker`` segments and publishes.
Run it with ``python -m unet_seg_ros.ros.node --ros-args …``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
from unet_seg_ros.ros.bringup import NODE_NAME
from unet_seg_ros.ros.diagnostics import DiagnosticsPublisher, EngineStats, Report
from unet_seg_ros.ros.lifecycle import Bond, answer_impossible_requests, guarded
from unet_seg_ros.ros.parameter_files import misdirected
from unet_seg_ros.ros.parameters import Parameters
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.ros.troubles import ERROR, OK
from unet_seg_ros.share import shipped_or_path
from unet_seg_ros.vocabulary import CAMERA_TASK

if TYPE_CHECKING:
    from unet_seg_ros.ros.camera import Camera
    from unet_seg_ros.ros.ground import GroundPublisher
    from unet_seg_ros.ros.worker import Worker
    from unet_seg_ros.segmenter import Segmenter

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SegmentationNode(LifecycleNode):
    """See the contract in README.md: topics, parameters, life cycle."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME)
        self._parameters_ours = Parameters(self)
        self.settings: Settings | None = None
        self.segmenter: Segmenter | None = None
        self.cameras: dict[str, Camera] = {}
        self.grounds: list[GroundPublisher] = []
        self.engine_stats = EngineStats()
        self.worker: Worker | None = None
        """There while the node is active."""
        self.problem = ""
        """Why the node can't be configured or is no longer active, until that is put right."""
        self._configured: dict[str, Any] = {}
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
            values = self._parameters_ours.values()
            settings = self._parameters_ours.settings(values)
            from unet_seg_ros.ros.camera import Camera
            from unet_seg_ros.ros.ground import GroundPublisher
            from unet_seg_ros.segmenter import Segmenter

            model = shipped_or_path(settings.model)
            self.segmenter = Segmenter.load(model, settings.device, settings.threads, settings.max_pixels)
            self.segmenter.warm_up()
            manifest, model_id = self.segmenter.manifest, self.segmenter.model_id
            self.grounds = [GroundPublisher(self, settings, manifest)]
            for name in settings.cameras:
                self.cameras[name] = Camera(self, name, settings, manifest, model_id, self.grounds[0].take)
        except ImportError as error:
            return self._refuse(f"{error}; install it with: python3 -m pip install -r requirements/run.txt")
        except (ValueError, OutOfMemory, DeviceLost) as error:
            return self._refuse(f"{error}. Set the parameter and configure again.")
        self.settings, self._configured, self.problem = settings, values, ""
        self.engine_stats = EngineStats()
        engine = self.segmenter.engine
        self.get_logger().info(f"{model_id} on {engine.device} in {engine.precision}. Terms: {manifest.data_terms}")
        return SUCCESS

    def _refuse(self, reason: str) -> TransitionCallbackReturn:
        self.failed(f"cannot configure: {reason}")
        self.get_logger().error(self.problem)
        return FAILURE

    def failed(self, reason: str) -> None:
        """Leave nothing half made, and say ``reason`` in diagnostics."""
        self._stop()
        self._release()
        self.problem = reason

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        from unet_seg_ros.ros.worker import Worker

        changed = self._parameters_ours.changed_since(self._configured)
        if changed or self.settings is None:
            self.get_logger().info(f"configuring again, {', '.join(changed) or 'the last time failed'} changed")
            if self._configure() != SUCCESS:
                return FAILURE
        assert self.segmenter is not None  # configured
        self.worker = Worker(
            self.segmenter, self.cameras, self.engine_stats, self._current_settings, self.get_logger(), self._give_up
        )
        for camera in self.cameras.values():
            camera.open(self.worker.receive)
            self.get_logger().info(f"{camera.name}: segmenting {camera.topic}")
        self._bond.start(self.get_parameter("bond_heartbeat_period").value)
        self.problem = ""
        return SUCCESS

    @guarded
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return SUCCESS

    @guarded
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        self.problem = ""
        return SUCCESS

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._release()
        return SUCCESS

    def _stop(self) -> None:
        self._bond.stop()
        for camera in self.cameras.values():
            camera.close()
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def _release(self) -> None:
        parts: list[Camera | GroundPublisher] = [*self.cameras.values(), *self.grounds]
        for part in parts:
            part.destroy()
        self.cameras, self.grounds, self.segmenter, self.settings = {}, [], None, None

    def destroy_node(self) -> None:
        self._stop()
        super().destroy_node()

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; a failure leaves the node where it is."""
        given = misdirected(sys.argv, self.get_fully_qualified_name())
        for sentence in (*self._parameters_ours.unused(), *given):
            self.get_logger().warning(sentence)
        if self.get_parameter("autostart").value and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    # ---- parameters

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As rclpy's, with every value checked first. The services of all distributions set parameters through this."""
        try:
            active = self.worker is not None
            prepared = self._parameters_ours.prepared(parameter_list, active, self._configured)
            result = super().set_parameters_atomically(prepared)
            if result.successful and self.settings is not None:
                self.settings = self._parameters_ours.settings(self._configured)
                for camera in self.cameras.values():
                    camera.announce(self.settings)
            return result
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))

    def _current_settings(self) -> Settings:
        assert self.settings is not None  # configured
        return self.settings

    def _give_up(self, reason: str) -> None:
        """The device is lost: down to inactive, from the executor's thread, since that waits for this one."""
        self.problem = f"device lost: {reason}. Restart the node, or set device to cpu."
        self.get_logger().error(f"{self.problem} Going inactive.")
        if self.executor is not None:
            self.executor.create_task(lambda: self.trigger_deactivate() if self.worker is not None else None)

    # ---- diagnostics

    def _every_second(self) -> None:
        for camera in self.cameras.values():
            camera.every_second()
        self._diagnostics.publish(self._reports())

    def _reports(self) -> Iterator[Report]:
        """What each part of the node has to say. Names are those that diagnostic_aggregator sorts by."""
        state = self._state_machine.current_state[1]
        level, message = (ERROR, self.problem) if self.problem else (OK, state)
        yield Report("node", level, message, {"state": state})
        if self.settings is None:
            for name in self.get_parameter("cameras").value:
                yield Report(f"{CAMERA_TASK}{name}", level, message, hardware_id=name)
        else:
            for camera in self.cameras.values():
                yield camera.report(self.settings, self.problem)
            yield from (ground.report() for ground in self.grounds)
        yield self.engine_stats.report(self.segmenter, self.problem)


def main(args: list[str] | None = None) -> None:
    check_arguments(sys.argv[1:] if args is None else args)
    try:
        rclpy.init(args=args)
        node = SegmentationNode()
    except (ValueError, RCLError) as error:  # a parameter file that can't be read, or with a value of another type
        raise SystemExit(f"{NODE_NAME}: {error}") from error
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        try:
            node.destroy_node()
            rclpy.try_shutdown()
        except KeyboardInterrupt:  # a second Ctrl-C
            sys.exit(130)


if __name__ == "__main__":
    main()

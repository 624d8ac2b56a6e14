"""The lifecycle node ``segmentation``: camera topics in, masks and class coverage out.

A thin shell: the executor's thread receives frames and answers services, a ``Worker`` segments and publishes.
Run it with ``python -m unet_seg_ros.ros.node --ros-args …``.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

try:
    import rclpy

    from unet_seg_msgs.msg import ClassCoverage  # noqa: F401  (so that a missing one is reported here)
except ImportError as error:
    raise SystemExit(
        f"unet_seg_ros: {error}. Source a ROS 2 workspace in which unet_seg_ros and unet_seg_msgs are built, "
        "or use the .venv that `make test` makes."
    ) from error

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.ros import parameters
from unet_seg_ros.ros.bringup import NODE_NAME
from unet_seg_ros.ros.diagnostics import EngineStats
from unet_seg_ros.ros.parameters import Settings
from unet_seg_ros.share import shipped_or_path

if TYPE_CHECKING:
    from unet_seg_ros.ros.camera import Camera
    from unet_seg_ros.ros.worker import Worker
    from unet_seg_ros.segmenter import Segmenter

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
Transition = Callable[["SegmentationNode", LifecycleState], TransitionCallbackReturn]


def guarded(transition: Transition) -> Transition:
    """rclpy swallows what a transition raises: say it, and fail on purpose."""

    @functools.wraps(transition)
    def wrapped(self: SegmentationNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except Exception:
            self.get_logger().error(f"{transition.__name__} failed:\n{traceback.format_exc()}")
            self._stop()
            return FAILURE

    return wrapped


class SegmentationNode(LifecycleNode):
    """See the contract in README.md: topics, parameters, life cycle."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME)
        parameters.declare(self)
        self.settings: Settings | None = None
        self.segmenter: Segmenter | None = None
        self.cameras: dict[str, Camera] = {}
        self.engine_stats = EngineStats()
        self.worker: Worker | None = None
        """There while the node is active."""
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._every_second, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.add_on_set_parameters_callback(self._on_parameters)

    # ---- life cycle

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        try:
            parameters.declare_regions(self)
            settings = Settings.of(parameters.values(self))
            from unet_seg_ros.ros.camera import Camera
            from unet_seg_ros.segmenter import Segmenter

            model = shipped_or_path(settings.model)
            self.segmenter = Segmenter.load(model, settings.device, settings.threads, settings.max_pixels)
            self.segmenter.warm_up()
        except ImportError as error:
            return self._refuse(f"{error}; install it with: python3 -m pip install -r requirements/run.txt")
        except (ValueError, OutOfMemory, DeviceLost) as error:
            return self._refuse(f"{error}. Set the parameter and configure again.")
        manifest, model_id = self.segmenter.manifest, self.segmenter.model_id
        for name in settings.cameras:
            self.cameras[name] = Camera(self, name, settings, manifest, model_id)
        self.settings = settings
        self.engine_stats = EngineStats()
        engine = self.segmenter.engine
        self.get_logger().info(f"{model_id} on {engine.device} in {engine.precision}. Terms: {manifest.data_terms}")
        return SUCCESS

    def _refuse(self, reason: str) -> TransitionCallbackReturn:
        self.segmenter = None
        self.get_logger().error(f"cannot configure: {reason}")
        return FAILURE

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        from unet_seg_ros.ros.worker import Worker

        assert self.segmenter is not None  # configured
        self.worker = Worker(
            self.segmenter, self.cameras, self.engine_stats, self._current_settings, self.get_logger(), self._give_up
        )
        for camera in self.cameras.values():
            camera.open(self.worker.receive)
            self.get_logger().info(f"{camera.name}: segmenting {camera.topic}")
        return SUCCESS

    @guarded
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return SUCCESS

    @guarded
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return SUCCESS

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._release()
        return SUCCESS

    def _stop(self) -> None:
        for camera in self.cameras.values():
            camera.close()
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def _release(self) -> None:
        for camera in self.cameras.values():
            camera.destroy()
        self.cameras, self.segmenter, self.settings = {}, None, None

    def destroy_node(self) -> None:
        self._stop()
        super().destroy_node()

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; a failure leaves the node where it is."""
        if self.get_parameter("autostart").value and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    # ---- parameters

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        frozen = [p.name for p in changed if p.name in Settings.__dataclass_fields__]
        frozen = [name for name in frozen if not parameters.changes_at_any_time(name)]
        if self.worker is not None and frozen:
            rule = "can be set while not active and takes effect at the next configure"
            return SetParametersResult(successful=False, reason=f"{', '.join(frozen)}: {rule}")
        if self.settings is not None:
            try:
                values = {**parameters.values(self), **{p.name: p.value for p in changed}}
                self.settings = self.settings.updated(values)
            except (ValueError, TypeError) as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _current_settings(self) -> Settings:
        assert self.settings is not None  # configured
        return self.settings

    def _give_up(self, reason: str) -> None:
        """The device is lost: down to inactive, from the executor's thread, since that waits for this one."""
        self.engine_stats.lost = reason
        self.get_logger().error(f"device lost: {reason}. Going inactive; restart the node, or set device to cpu.")
        if self.executor is not None:
            self.executor.create_task(lambda: self.trigger_deactivate() if self.worker is not None else None)

    # ---- diagnostics

    def _every_second(self) -> None:
        for camera in self.cameras.values():
            camera.adapt_reliability()
        prefix = self.get_fully_qualified_name().lstrip("/")
        statuses = [
            camera.stats.status(f"{prefix}: camera {name}", camera.topic, camera.publishers(), self.worker is not None)
            for name, camera in self.cameras.items()
        ]
        facts = {}
        if self.segmenter is not None:
            engine, manifest = self.segmenter.engine, self.segmenter.manifest
            facts = {"device": engine.device, "precision": engine.precision, "model": self.segmenter.model_id}
            facts["terms"] = manifest.data_terms
        statuses.append(self.engine_stats.status(f"{prefix}: engine", facts))
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> None:
    rclpy.init(args=args)
    executor = SingleThreadedExecutor()
    try:
        node = SegmentationNode()
    except ParameterException as error:  # a parameter file with a value of another type, or out of range
        raise SystemExit(f"{NODE_NAME}: {error}") from error
    executor.add_node(node)
    try:
        node.autostart()
        while rclpy.ok():
            try:
                executor.spin()
            except RCLError as error:  # an invalid transition raises in rclpy's own service
                node.get_logger().error(f"request refused: {error}")
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

"""One camera: receives its images, publishes its outputs and counts its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header

from unet_seg_msgs.msg import FrameTiming
from unet_seg_ros.data.ros_images import stamp_ns
from unet_seg_ros.health.rules import load_thresholds
from unet_seg_ros.health.trust import Health, Monitor
from unet_seg_ros.masking import Ignored, masked
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.ros.camera_checks import check
from unet_seg_ros.ros.camera_info import CameraInfoRelay, beside
from unet_seg_ros.ros.camera_stats import CameraStats
from unet_seg_ros.ros.diagnostic_levels import ERROR, OK, Troubles
from unet_seg_ros.ros.diagnostics import Report, camera_values
from unet_seg_ros.ros.health import HealthPublisher
from unet_seg_ros.ros.image_input import POLICIES, ImageInput
from unet_seg_ros.ros.outputs import Publishers, SegmentedFrame, announcements, frame_outputs
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.ros.throttle import Throttle
from unet_seg_ros.segmenter import Segmentation
from unet_seg_ros.vocabulary import CAMERA_TASK, Drop


class Camera:
    """Its publishers exist from construction to ``destroy``, its subscription from ``open`` to ``close``.

    ``on_segmented`` is called with each published frame. Raises ValueError that names the parameter if the ignored
    pixels or the health thresholds cannot be read.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        settings: Settings,
        manifest: Manifest,
        model_id: str,
        on_segmented: Callable[[SegmentedFrame], None],
    ) -> None:
        own = settings.cameras[name]
        self.name = name
        self.stats = CameraStats(own.expected_rate)
        self._ignored = Ignored(own.ignore, f"ignore.{name}")
        self._throttle = Throttle(own.max_rate)
        self._node = node
        self._model_id = model_id
        self._on_segmented = on_segmented
        self._manifest = manifest
        self._troubles = Troubles()
        self._take: Callable[[Camera, Any], None] | None = None
        self._input = ImageInput(node, name, settings, self._on_image)
        self.decode = self._input.decode
        qos = QoSProfile(depth=settings.output_depth, reliability=POLICIES[settings.output_reliability])
        self._publishers = Publishers(node, name, frame_outputs(manifest, settings.autoware_mask), qos)
        monitor = Monitor(manifest, load_thresholds(settings.health_thresholds))
        self._health = HealthPublisher(node, name, monitor, model_id, qos)
        self._timing: Publisher = node.create_publisher(FrameTiming, f"~/{name}/timing", qos)
        info_topic = own.camera_info or beside(self._input.base_topic)
        self.info = CameraInfoRelay(node, name, info_topic, qos)
        self._latched: dict[str, Publisher] = {}
        self.announce(settings)

    @property
    def topic(self) -> str:
        """The topic of its images, after remapping."""
        return self._input.topic

    @property
    def output_topics(self) -> list[str]:
        """The topics of the messages of each frame, after remapping."""
        return self._publishers.topics

    def open(self, take: Callable[[Camera, Any], None]) -> None:
        """Subscribe; ``take`` is called with this camera and each message."""
        self._take = take
        self._troubles = Troubles()
        self.stats.listen()
        self._input.open()

    def close(self) -> None:
        self._input.close()
        self._take = None

    def destroy(self) -> None:
        self.close()
        self._publishers.destroy()
        self.info.destroy()
        self._health.destroy()
        for publisher in (self._timing, *self._latched.values()):
            self._node.destroy_publisher(publisher)

    def announce(self, settings: Settings) -> None:
        """Publish the latched messages that explain the mask's values."""
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        stamp = self._node.get_clock().now().to_msg()
        for name, kind, message in announcements(self._manifest, self._model_id, settings, stamp):
            if name not in self._latched:
                self._latched[name] = self._node.create_publisher(kind, f"~/{self.name}/{name}", qos)
            self._latched[name].publish(message)

    def _on_image(self, message: Any, number: int | None) -> None:
        self.stats.count_received(stamp_ns(message.header), number)
        if not self._throttle.passes(monotonic()):
            self.stats.count_drop(Drop.SKIPPED)
        elif self._take is not None:
            self._take(self, message)

    def publish(self, header: Header, image: NDArray[np.uint8], seen: Segmentation, settings: Settings) -> None:
        """Publish a frame's outputs. Those that take time to make are made only while somebody subscribes."""
        age = self._age(header)
        health = self._health.publish(header, seen, age)
        frame = SegmentedFrame(
            camera=self.name,
            model_id=self._model_id,
            header=header,
            image=image,
            seen=masked(seen, self._ignored, settings.unknown_below),
            settings=settings,
            age=age,
            trust=health.trust,
            dropped=self.stats.take_drops(),
            lost=self.stats.take_lost(),
        )
        self._publishers.publish(frame)
        self._on_segmented(frame)
        self.info.publish(header)
        self.stats.size = image.shape[0], image.shape[1]
        self.stats.count_processed(age)

    def publish_fault(self, header: Header, seen: Segmentation | Health) -> None:
        """Publish only the health of a frame: the network's output means nothing, or there is none."""
        self._health.publish(header, seen, self._age(header))

    def _age(self, header: Header) -> float:
        # Integers, because rclpy's Time refuses stamps before 1970, and no frame may be dropped because of its stamp.
        return float(self._node.get_clock().now().nanoseconds - stamp_ns(header)) / 1e9

    def publish_timing(self, header: Header, seconds: Mapping[str, float]) -> None:
        """Publish the ``seconds`` of each stage of a frame, by the names of ``FrameTiming``'s fields."""
        if self._timing.get_subscription_count():
            self._timing.publish(FrameTiming(header=header, **seconds))

    def every_second(self) -> None:
        """Must be called at 1 Hz, whether the camera is open or not."""
        self._input.adapt()

    def reports(self, settings: Settings, problem: str) -> Iterator[Report]:
        """The diagnostics of this camera and of its health. ``problem`` is what is wrong with the whole node, empty if
        nothing is."""
        yield self._report(settings, problem)
        if self._take is not None:
            yield self._health.report()

    def _report(self, settings: Settings, problem: str) -> Report:
        situation = self._input.situation(self.stats.last_image)
        level, message = OK, "not active"
        if problem:
            level, message = ERROR, problem
        elif self._take is not None:
            findings = check(situation, self.stats, settings.limits)
            level, message = self._troubles.update(findings, monotonic(), settings.limits.error_after)
            message = message or ("receiving images" if self.stats.heard else "waiting for the first image")
        return Report(
            f"{CAMERA_TASK}{self.name}",
            level,
            message,
            {**camera_values(situation, self.stats), "troubles": ", ".join(self._troubles.keys)},
            hardware_id=self.name,
        )

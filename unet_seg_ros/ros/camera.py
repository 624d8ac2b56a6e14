"""One camera's topics: the image subscription, and everything that is published for a frame."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from unet_seg_msgs.msg import ClassCoverage, RegionCoverage
from unet_seg_ros.data.labels import palette
from unet_seg_ros.data.ros_images import compressed_to_rgb, fill, fill_compressed, to_rgb
from unet_seg_ros.draw import colorize, overlay
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.ros.diagnostics import CameraStats
from unet_seg_ros.ros.parameters import Settings
from unet_seg_ros.segmenter import Segmentation

OUTPUTS = {
    "mask": Image,
    "mask/compressed": CompressedImage,
    "confidence": Image,
    "color": Image,
    "overlay": Image,
    "coverage": ClassCoverage,
}
POLICIES = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}


class Camera:
    """Publishers from its making to ``destroy``; a subscription from ``open`` to ``close``."""

    def __init__(self, node: LifecycleNode, name: str, settings: Settings, manifest: Manifest, model_id: str) -> None:
        self.name = name
        self.stats = CameraStats()
        self._node = node
        self._settings = settings
        self._model_id = model_id
        self._palette = palette(manifest.palette)
        self._subscription: Subscription | None = None
        self._reliability = POLICIES.get(settings.input_reliability, ReliabilityPolicy.BEST_EFFORT)
        qos = QoSProfile(depth=settings.output_depth, reliability=POLICIES[settings.output_reliability])
        self._publishers: dict[str, Publisher] = {
            output: node.create_publisher(kind, f"~/{name}/{output}", qos) for output, kind in OUTPUTS.items()
        }
        self._publish_label_info(manifest)
        suffix = "/compressed" if settings.transport == "compressed" else ""
        self._type = CompressedImage if suffix else Image
        self.decode: Callable[[Any], NDArray[np.uint8]] = compressed_to_rgb if suffix else to_rgb
        """A message's frame, H×W×3 uint8 RGB; raises ImageError."""
        self.topic = node.resolve_topic_name(f"~/{name}/image{suffix}")

    def open(self, on_image: Callable[[Camera, Any], None]) -> None:
        """Subscribe; ``on_image`` gets this camera and the message."""
        self._on_image = on_image
        self.stats.last_image = monotonic()
        self._subscription = self._node.create_subscription(
            self._type,
            self.topic,
            lambda message: on_image(self, message),
            QoSProfile(depth=1, reliability=self._reliability),
        )

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        self.close()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    def publishers(self) -> int:
        """How many publish the camera's topic."""
        return int(self._node.count_publishers(self.topic))

    def adapt_reliability(self) -> None:
        """``input_reliability: auto``: RELIABLE if all publishers offer it, else BEST_EFFORT, which all can serve."""
        if self._settings.input_reliability != "auto" or self._subscription is None:
            return
        offers = [info.qos_profile.reliability for info in self._node.get_publishers_info_by_topic(self.topic)]
        if not offers:
            return
        all_reliable = all(offer == ReliabilityPolicy.RELIABLE for offer in offers)
        best = ReliabilityPolicy.RELIABLE if all_reliable else ReliabilityPolicy.BEST_EFFORT
        if best != self._reliability:
            self._reliability = best
            self.close()
            self.open(self._on_image)

    def publish(self, header: Header, frame: NDArray[np.uint8], seen: Segmentation, settings: Settings) -> None:
        """Publish a frame's outputs, those for which it costs something only while somebody subscribes."""
        self._send_image("mask", header, seen.mask)
        if self._wanted("mask/compressed"):
            compressed = CompressedImage(header=header)
            fill_compressed(compressed, seen.mask)
            self._publishers["mask/compressed"].publish(compressed)
        if self._wanted("confidence"):
            self._send_image("confidence", header, seen.confidence)
        if self._wanted("color"):
            self._send_image("color", header, colorize(seen.mask, self._palette))
        if self._wanted("overlay"):
            self._send_image("overlay", header, overlay(frame, seen.mask, self._palette))
        coverage = self._coverage(header, seen, settings)
        self._publishers["coverage"].publish(coverage)
        self.stats.count_processed(coverage.age)

    def _wanted(self, output: str) -> bool:
        return bool(self._publishers[output].get_subscription_count())

    def _send_image(self, output: str, header: Header, pixels: NDArray[np.uint8]) -> None:
        message = Image(header=header)
        fill(message, pixels)
        self._publishers[output].publish(message)

    def _coverage(self, header: Header, seen: Segmentation, settings: Settings) -> ClassCoverage:
        regions = [region for region in settings.regions if not region.cameras or self.name in region.cameras]
        coverage = seen.coverage(regions, settings.confidence_threshold)
        # In whole numbers: rclpy's Time refuses a stamp before 1970, and no frame is dropped for its stamp.
        now_ns = self._node.get_clock().now().nanoseconds
        age = (now_ns - (header.stamp.sec * 10**9 + header.stamp.nanosec)) / 1e9
        return ClassCoverage(
            header=header,
            model=self._model_id,
            height=seen.mask.shape[0],
            width=seen.mask.shape[1],
            class_names=list(seen.class_names),
            regions=[
                RegionCoverage(
                    name=region.name,
                    valid_pixels=region.valid_pixels,
                    fraction=region.fraction.tolist(),
                    mean_confidence=region.mean_confidence.tolist(),
                )
                for region in coverage.regions
            ],
            mean_confidence=coverage.mean_confidence,
            low_confidence_fraction=coverage.low_confidence_fraction,
            dropped=self.stats.take_drops(),
            age=age,
        )

    def _publish_label_info(self, manifest: Manifest) -> None:
        """Names of the mask's values, latched, where vision_msgs is installed."""
        try:
            from vision_msgs.msg import LabelInfo, VisionClass
        except ImportError:
            return
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = self._node.create_publisher(LabelInfo, f"~/{self.name}/label_info", latched)
        classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(manifest.class_names)]
        publisher.publish(LabelInfo(class_map=classes, threshold=0.0))
        self._publishers["label_info"] = publisher

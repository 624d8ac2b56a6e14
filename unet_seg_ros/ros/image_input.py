"""A camera's image subscription: its topic, its reliability and its publishers."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from unet_seg_ros.data.ros_images import compressed_to_rgb, to_rgb
from unet_seg_ros.ros.camera_checks import Publisher, Situation
from unet_seg_ros.ros.settings import Settings

POLICIES = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
SUFFIX = "/compressed"


class ImageInput:
    """Subscribed from ``open`` to ``close``; ``on_image`` is called on the executor's thread with each message and the
    number that its publisher gave it, None where the middleware tells none."""

    def __init__(
        self, node: LifecycleNode, name: str, settings: Settings, on_image: Callable[[Any, int | None], None]
    ) -> None:
        self._node = node
        self._on_image = on_image
        compressed = settings.transport == "compressed"
        self._type = CompressedImage if compressed else Image
        self.decode: Callable[[Any], NDArray[np.uint8]] = compressed_to_rgb if compressed else to_rgb
        """Decodes a message to a frame uint8[H, W, 3] RGB; raises ImageError."""
        self._name = (settings.cameras[name].topic or f"~/{name}/image") + (SUFFIX if compressed else "")
        self._auto = settings.input_reliability == "auto"
        self._reliability = POLICIES.get(settings.input_reliability, ReliabilityPolicy.BEST_EFFORT)
        self._subscription: Subscription | None = None
        self._since: float | None = None
        self._had_publishers = False
        self.topic = str(node.resolve_topic_name(self._name))

    @property
    def base_topic(self) -> str:
        """The topic without the ending of its transport, to find other topics of the camera."""
        return self.topic.removesuffix(SUFFIX)

    def open(self) -> None:
        self._since = None
        self._subscribe()

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _subscribe(self) -> None:
        qos = QoSProfile(depth=1, reliability=self._reliability)
        self._subscription = self._node.create_subscription(self._type, self._name, self._on_message, qos)
        self.topic = str(self._subscription.topic_name)

    def _on_message(self, message: Any, info: Any) -> None:
        self._on_image(message, info["publication_sequence_number"])

    def adapt(self) -> None:
        """``input_reliability: auto``: RELIABLE if all publishers offer it, else BEST_EFFORT, which receives from every
        publisher."""
        offers = [publisher.reliable for publisher in self._publishers()]
        if not self._auto or self._subscription is None or not offers:
            return
        best = ReliabilityPolicy.RELIABLE if all(offers) else ReliabilityPolicy.BEST_EFFORT
        if best != self._reliability:
            self._reliability = best
            self.close()
            self._subscribe()

    def situation(self, last_image: float | None) -> Situation:
        """The current state; ``last_image`` is the time of the last image by ``time.monotonic``."""
        publishers = self._publishers()
        now = monotonic()
        # silence begins when a publisher appears or, without one, when the subscription is made
        if self._since is None or (publishers and not self._had_publishers):
            self._since = now
        self._had_publishers = bool(publishers)
        return Situation(
            topic=self.topic,
            type=_type_name(self._type),
            reliable=self._reliability == ReliabilityPolicy.RELIABLE,
            silent=now - max(self._since, last_image or self._since),
            publishers=publishers,
            elsewhere="" if publishers else self._elsewhere(),
            now_ns=self._node.get_clock().now().nanoseconds,
        )

    def _publishers(self) -> tuple[Publisher, ...]:
        return tuple(
            Publisher(info.topic_type, info.qos_profile.reliability == ReliabilityPolicy.RELIABLE)
            for info in self._node.get_publishers_info_by_topic(self.topic)
        )

    def _elsewhere(self) -> str:
        """A published topic that was probably meant: this one in the other transport, or one with a similar name."""
        topics = {
            name: types[0]
            for name, types in self._node.get_topic_names_and_types()
            if types[0] in (_type_name(Image), _type_name(CompressedImage)) and self._node.count_publishers(name)
        }
        own = self._node.get_fully_qualified_name() + "/"
        other = self.base_topic if self.topic.endswith(SUFFIX) else self.topic + SUFFIX
        if other in topics:
            return f"{other} (parameter transport)"
        near = difflib.get_close_matches(self.topic, [topic for topic in topics if not topic.startswith(own)], n=1)
        return near[0] if near else ""


def _type_name(kind: Any) -> str:
    package, middle, name = kind.__module__.split(".")[0], "msg", kind.__name__
    return f"{package}/{middle}/{name}"

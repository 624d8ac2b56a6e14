"""The camera's own sensor_msgs/CameraInfo, published again with the stamp of each mask.

Only the stamp in the serialised message is replaced; every other byte stays as it was.
"""

from __future__ import annotations

import struct
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

HEADER = 4
"""Number of bytes before the message itself; the second one gives the byte order (CDR)."""


def beside(image_topic: str) -> str:
    """The camera_info topic that belongs to an image topic: /front/camera_info for /front/image_raw."""
    return image_topic.rpartition("/")[0] + "/camera_info"


class CameraInfoRelay:
    """Republishes ``topic`` as ``~/C/camera_info``, from construction to ``destroy``. If both are the same topic, it
    only keeps the last message.

    Publisher and subscription always exist, because other nodes may need the calibration before they subscribe to
    masks.
    """

    def __init__(self, node: LifecycleNode, camera: str, topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._latest: bytes | None = None
        self._publisher: Publisher | None = None
        wanted = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription: Subscription = node.create_subscription(CameraInfo, topic, self._keep, wanted, raw=True)
        output = f"~/{camera}/camera_info"
        if node.resolve_topic_name(topic) != node.resolve_topic_name(output):
            self._publisher = node.create_publisher(CameraInfo, output, qos)

    @property
    def latest(self) -> CameraInfo | None:
        """The camera's last message; None before the first."""
        return None if self._latest is None else deserialize_message(self._latest, CameraInfo)

    def publish(self, header: Header) -> None:
        """Publish the last message with the stamp of ``header``, if there is one and somebody subscribes."""
        if self._publisher is not None and self._latest is not None and self._publisher.get_subscription_count():
            self._publisher.publish(stamped(self._latest, header.stamp.sec, header.stamp.nanosec))

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)

    def _keep(self, message: Any) -> None:
        self._latest = bytes(message)


def stamped(message: bytes, sec: int, nanosec: int) -> bytes:
    """A copy, with another stamp, of a serialised message that begins with a std_msgs/Header."""
    order = "<" if message[1] & 1 else ">"
    return message[:HEADER] + struct.pack(f"{order}iI", sec, nanosec) + message[HEADER + 8 :]

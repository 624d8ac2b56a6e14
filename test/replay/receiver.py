"""An independent receiver in a process of its own. It writes the arrival time of each message to a file.

``python -m test.replay.receiver FILE IMAGE_TOPIC MASK_TOPIC``: prints ``ready`` when it has subscribed, then
writes a line of ``image|mask stamp_ns monotonic_ns`` for each message, until SIGINT.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from time import monotonic_ns

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


def main(path: str, image: str, mask: str) -> None:
    rclpy.init()
    node = rclpy.create_node("receiver")
    with Path(path).open("w", encoding="utf-8") as file:

        def take(what: str, message: Image) -> None:
            now, stamp = monotonic_ns(), message.header.stamp
            file.write(f"{what} {stamp.sec * 10**9 + stamp.nanosec} {now}\n")
            file.flush()

        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(Image, image, lambda message: take("image", message), qos)
        node.create_subscription(Image, mask, lambda message: take("mask", message), qos)
        print("ready", flush=True)
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(node)


if __name__ == "__main__":
    main(*sys.argv[1:])

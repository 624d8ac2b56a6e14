"""Measures the transport of an image from the camera's process to the node's: ``python -m benchmarks.transport``.

One process publishes images at 10 Hz (RELIABLE). Another receives them as the node does, as typed messages, and for
comparison as serialised bytes (a raw subscription), which NumPy views without a copy. Each pair of processes runs with
and without the shared-memory profile. The benchmark prints milliseconds from publishing to the array, and the CPU time
of the receiver for each image.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.ros_images import fill, to_rgb
from unet_seg_ros.ros.bringup import PROFILE_VARIABLES
from unet_seg_ros.share_folder import share_folder

SIZES = ((480, 360), (1280, 720), (2048, 1024))
RATE = 10.0
Array = NDArray[np.uint8]


def viewed(message: bytes) -> tuple[float, Array]:
    """The stamp in seconds and the pixels of a serialised rgb8 Image. In CDR, the fields are aligned to their size
    after the first 4 bytes."""
    order = "<" if message[1] & 1 else ">"

    def words(at: int, count: int) -> tuple[tuple[int, ...], int]:
        at += -at % 4
        return struct.unpack_from(f"{order}{count}I", message, at), at + 4 * count

    (sec, nanosec, length), at = words(4, 3)
    (height, width, length), at = words(at + length, 3)
    (_, size), at = words(at + length + 1, 2)  # after is_bigendian
    return sec + nanosec / 1e9, np.frombuffer(message, np.uint8, size, at).reshape(height, width, 3)


def send(width: int, height: int) -> None:
    """Send images until nobody receives them any more."""
    import rclpy
    from sensor_msgs.msg import Image

    rclpy.init()
    publisher = rclpy.create_node("sender").create_publisher(Image, "/image", 1)
    message = Image()
    fill(message, np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    time.sleep(0.5)
    while publisher.get_subscription_count():
        now = time.monotonic_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
        publisher.publish(message)
        time.sleep(max(0.0, 1 / RATE - (time.monotonic_ns() - now) / 1e9))


def receive(way: str, images: int) -> None:
    """Receive images and print, as JSON, the latencies in ms and the CPU time in ms for each image."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    latencies: list[float] = []
    began: list[float] = []

    def take(message: Any) -> None:
        if way == "raw":
            stamp, pixels = viewed(message)
        else:
            stamp, pixels = message.header.stamp.sec + message.header.stamp.nanosec / 1e9, to_rgb(message)
        latencies.append(1000 * (time.monotonic() - stamp))
        if not began:
            began.append(time.process_time())
        assert pixels.ndim == 3

    rclpy.init()
    node = rclpy.create_node("receiver")
    node.create_subscription(Image, "/image", take, 1, raw=way == "raw")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while len(latencies) < images:
        executor.spin_once(timeout_sec=1.0)
    print(json.dumps([latencies[1:], 1000 * (time.process_time() - began[0]) / (images - 1)]))


def measured(width: int, height: int, way: str, images: int, environment: dict[str, str]) -> tuple[list[float], float]:
    """The latencies and the CPU time of one sender and one receiver, each in its own process."""
    this = [sys.executable, "-m", "benchmarks.transport"]
    sender = subprocess.Popen([*this, "--send", str(width), str(height)], env=environment)
    try:
        command = [*this, "--receive", way, "--images", str(images)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    finally:
        sender.kill()
        sender.wait()
    latencies, cpu = json.loads(done.stdout.splitlines()[-1])
    return latencies, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40, help="number of images of each run (%(default)s)")
    parser.add_argument("--send", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--receive", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.send:
        return send(*given.send)
    if given.receive:
        return receive(given.receive, given.images)
    plain = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
    plain |= {"ROS_DOMAIN_ID": str(random.randint(1, 100)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    shared = plain | dict.fromkeys(PROFILE_VARIABLES, str(share_folder() / "config" / "shared_memory.xml"))
    print(f"{'image':>10}  {'shared memory':<13}  {'way':<5}  {'p50 ms':>7}  {'p95 ms':>7}  {'CPU ms':>7}  CPU ratio")
    for width, height in SIZES:
        for label, environment in (("yes", shared), ("no", plain)):
            typed = 0.0
            for way in ("typed", "raw"):
                latencies, cpu = measured(width, height, way, given.images, environment)
                typed = typed or cpu
                p50, p95 = np.percentile(latencies, [50, 95])
                size = f"{width}×{height}"
                print(f"{size:>10}  {label:<13}  {way:<5}  {p50:7.1f}  {p95:7.1f}  {cpu:7.2f}  {cpu / typed:.2f}")
    return None


if __name__ == "__main__":
    main()

"""Cameras that change while the node runs, and every format that image_transport writes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage

from test.ros.client import BEST_EFFORT, RELIABLE, Client, image, noise, running
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture(scope="module")
def raw(tiny: Path) -> Iterator[Client]:
    """A node that follows /clock."""
    with running(
        "-p", f"model:={tiny}", "-p", "threads:=1", "-p", "use_sim_time:=true", outputs=("mask", "coverage")
    ) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        yield client


def test_a_camera_may_change_its_resolution(raw: Client) -> None:
    publisher = raw.publisher()
    for sec, (height, width) in enumerate([(60, 80), (480, 640), (33, 47), (1, 1), (60, 80)], start=100):
        publisher.publish(image(sec, noise(sec, height, width)))
        mask = raw.result("camera", "mask", sec)
        assert (mask.height, mask.width) == (height, width)
    raw.node.destroy_publisher(publisher)


def test_a_camera_may_change_from_best_effort_to_reliable(raw: Client) -> None:
    for sec, reliability in enumerate([BEST_EFFORT, RELIABLE, BEST_EFFORT], start=200):
        publisher = raw.publisher(reliability=reliability)

        def arrived(sec: int = sec, publisher: object = publisher) -> bool:
            publisher.publish(image(sec, noise(sec, 60, 80)))  # type: ignore[attr-defined]
            raw.spin(0.2)
            return any(m.header.stamp.sec == sec for m in raw.got["camera", "mask"])

        raw.wait(arrived, "a mask")
        raw.node.destroy_publisher(publisher)


DRIVER = """
import time, rclpy
from test.ros.client import image, noise
rclpy.init()
node = rclpy.create_node("driver")
publisher = node.create_publisher(type(image(0, noise(0, 2, 2))), "/segmentation/camera/image", 5)
while True:
    message = image(0, noise(0, 60, 80))
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.1)
"""


def test_a_restarted_driver_does_not_count_as_a_second_publisher(raw: Client) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER])
    before = len(raw.got["camera", "mask"])
    try:
        raw.wait(lambda: len(raw.got["camera", "mask"]) > before + 3, "masks")
        driver.kill()
        driver.wait()
        driver = subprocess.Popen([sys.executable, "-c", DRIVER])
        raw.wait(lambda: raw.camera_values()["publishers"] == "2", "the dead one still counts")
        begin = time.monotonic()
        while time.monotonic() < begin + 4:
            assert "several publishers" not in raw.camera_values()["troubles"]
    finally:
        driver.kill()
        driver.wait()


def test_a_second_publisher_is_reported(raw: Client) -> None:
    first, second = raw.publisher(), None
    try:
        second = raw.node.create_publisher(type(image(0, noise(0, 2, 2))), "/segmentation/camera/image", 5)
        raw.wait(lambda: second.get_subscription_count(), "the second is matched")
        for sec in range(300, 310):
            (first, second)[sec % 2].publish(image(sec, noise(sec, 60, 80)))
            raw.result("camera", "mask", sec)
        raw.wait(lambda: "several publishers" in raw.camera_values()["troubles"], "it is said")
    finally:
        raw.node.destroy_publisher(first)
        raw.node.destroy_publisher(second)


def test_a_pause_of_the_node_counts_no_lost_images(raw: Client) -> None:
    publisher = raw.publisher()
    assert raw.transition("deactivate")
    assert raw.transition("activate")
    raw.wait(publisher.get_subscription_count, "the node subscribes again")
    lost, number = int(raw.camera_values()["lost"]), 0

    def play(seconds: float) -> None:
        nonlocal number
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number += 1
            message = image(400 + number // 10, noise(number, 60, 80))
            message.header.stamp.nanosec = number % 10 * 10**8
            publisher.publish(message)
            raw.spin(0.1)

    play(2.0)
    assert float(raw.camera_values()["camera rate (Hz)"]) == pytest.approx(10, rel=0.1)
    assert raw.transition("deactivate")
    play(2.5)
    assert raw.transition("activate")
    raw.wait(publisher.get_subscription_count, "the node subscribes again")
    play(2.0)
    assert int(raw.camera_values()["lost"]) == lost
    assert not {"lost", "slow"} & set(raw.camera_values()["troubles"].split(", "))
    raw.node.destroy_publisher(publisher)


def test_the_clock_may_start_again(raw: Client) -> None:
    clock = raw.node.create_publisher(Clock, "/clock", 5)
    publisher = raw.publisher()
    ages = []
    for turn in range(2):  # a recording of 20 s that starts again
        for sec in range(1000, 1020, 5):
            message = Clock()
            message.clock.sec = sec
            for _ in range(5):
                clock.publish(message)
                raw.spin(0.05)
            before = len(raw.got["camera", "coverage"])
            publisher.publish(image(sec, noise(sec, 60, 80)))
            raw.wait(lambda before=before: len(raw.got["camera", "coverage"]) > before, f"a mask in turn {turn}")
            ages.append(raw.got["camera", "coverage"][-1].age)
    assert max(abs(age) for age in ages) < 6  # the clock does not move between two of its messages
    values = raw.camera_values()
    assert int(values["stamps backwards"]) >= 1
    assert raw.state() == "active"
    raw.node.destroy_publisher(publisher)


def packed(code: str, pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(code, pixels)[1])


def test_every_format_of_image_transport_is_decoded(tiny: Path) -> None:
    bgr, grey = noise(5, 120, 160), noise(6, 120, 160)[..., 0]
    deep = (grey.astype(np.uint16) << 8) | 7
    pictures = {
        "jpeg": (packed(".jpg", bgr), cv2.IMREAD_COLOR),
        "png": (packed(".png", bgr), cv2.IMREAD_COLOR),
        "rgb8; jpeg compressed bgr8": (packed(".jpg", bgr), cv2.IMREAD_COLOR),
        "bgr8; png compressed bgr8": (packed(".png", bgr), cv2.IMREAD_COLOR),
        "bgra8; jpeg compressed bgr8": (packed(".jpg", bgr), cv2.IMREAD_COLOR),
        "mono8; jpeg compressed ": (packed(".jpg", grey), cv2.IMREAD_COLOR),
        "mono8; png compressed ": (packed(".png", grey), cv2.IMREAD_COLOR),
        "mono16; png compressed ": (packed(".png", deep), cv2.IMREAD_COLOR),
        "bayer_rggb8; png compressed ": (packed(".png", grey), None),
    }
    segmenter = Segmenter.load(tiny, "cpu", threads=1)
    with running("-p", f"model:={tiny}", "-p", "threads:=1", "-p", "transport:=compressed", outputs=("mask",)) as (
        node,
        client,
    ):
        publisher = client.publisher(kind=CompressedImage)
        for sec, (form, (data, flag)) in enumerate(pictures.items(), start=1):
            message = CompressedImage(format=form)
            message.header.stamp.sec = sec
            message.data.frombytes(data)
            publisher.publish(message)
            mask = client.result("camera", "mask", sec)
            if flag is None:  # OpenCV names a mosaic after its second row and column
                rgb = cv2.cvtColor(grey, cv2.COLOR_BayerBG2RGB)
            else:
                rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), flag), cv2.COLOR_BGR2RGB)
            expected = segmenter([rgb])[0].mask
            np.testing.assert_array_equal(np.frombuffer(mask.data, np.uint8).reshape(expected.shape), expected, form)
        message = CompressedImage(format="16UC1; compressedDepth")
        message.data.frombytes(bytes(12) + packed(".png", deep))
        publisher.publish(message)
        client.wait(lambda: client.camera_values()["malformed"] == "1", "it is refused")
        assert "depth" in node.log

"""Outputs besides the mask: calibration, class table, ignored pixels, a limited rate, compressed pictures."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from test.ros.client import Client, image, noise, running
from unet_seg_msgs.msg import ClassTable
from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES, VOID
from unet_seg_ros.segmenter import Segmenter

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
UNKNOWN_BELOW = 0.6


@pytest.fixture(scope="module")
def node(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A node whose camera "camera" ignores its lower half and a picture, and whose camera "side" is limited to 5 Hz."""
    mirror = np.zeros((10, 10), np.uint8)
    mirror[0] = 255
    path = tmp_path_factory.mktemp("masks") / "mirror.png"
    cv2.imwrite(str(path), mirror)
    with running(
        *("-p", f"model:={tiny}", "-p", "threads:=1", "-p", "cameras:=['camera', 'side']"),
        *("-p", f"ignore.camera:=['0 0.5 1 0.5 1 1 0 1', '{path}']", "-p", "max_rate.side:=5.0"),
        *("-p", f"unknown_below:={UNKNOWN_BELOW}", "-p", "topic.camera:=/front/image_raw"),
        cameras=("camera", "side"),
        outputs=("mask", "confidence", "coverage", "overlay/compressed"),
    ) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        yield client


def latched(client: Client, kind: Any, topic: str) -> Any:
    """The message that a late subscriber gets."""
    got: list[Any] = []
    subscription = client.node.create_subscription(kind, topic, got.append, LATCHED)
    client.wait(lambda: got, f"a latched message on {topic}")
    client.node.destroy_subscription(subscription)
    return got[-1]


def send(client: Client, sec: int, pixels: np.ndarray) -> None:
    publisher = client.node.create_publisher(Image, "/front/image_raw", 5)
    client.wait(lambda: publisher.get_subscription_count(), "the node subscribes")
    received = client.got["camera", "mask"]

    def arrived() -> bool:  # best effort until the node sees that the publisher is reliable
        publisher.publish(image(sec, pixels))
        client.spin(0.3)
        return any(m.header.stamp.sec == sec for m in received)

    client.wait(arrived, "a mask")
    client.node.destroy_publisher(publisher)


def test_ignored_and_unknown_pixels_are_255_in_the_mask(node: Client, tiny: Path) -> None:
    pixels = noise(3, 120, 160)
    send(node, 100, pixels)
    plain = Segmenter.load(tiny, "cpu", threads=1)([pixels])[0]
    out = np.zeros((120, 160), bool)
    out[60:] = out[:12] = True
    mask = np.frombuffer(node.result("camera", "mask", 100).data, np.uint8).reshape(120, 160)
    expected = np.where(out | (plain.confidence < UNKNOWN_BELOW * 255), VOID, plain.mask)
    np.testing.assert_array_equal(mask, expected)
    assert 0 < (mask == VOID).sum() < mask.size
    confidence = np.frombuffer(node.result("camera", "confidence", 100).data, np.uint8).reshape(120, 160)
    np.testing.assert_array_equal(confidence, np.where(out, 0, plain.confidence))
    coverage = node.result("camera", "coverage", 100)
    assert coverage.regions[0].valid_pixels == (expected != VOID).sum()
    assert coverage.mean_confidence == pytest.approx(plain.confidence[~out].mean() / 255, abs=1e-5)


def test_the_overlay_is_published_as_a_jpeg(node: Client) -> None:
    pixels = noise(4, 120, 160)
    send(node, 200, pixels)
    message = node.result("camera", "overlay/compressed", 200)
    picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (120, 160, 3)
    assert "jpeg" in message.format
    assert message.header.frame_id == "optical"


def test_the_class_table_is_latched(node: Client) -> None:
    table = latched(node, ClassTable, "/segmentation/side/classes")
    assert list(table.ids) == list(range(19))
    assert tuple(table.names) == CLASS_NAMES
    assert (table.groups[0], table.groups[13], table.groups[11]) == ("flat", "vehicle", "human")
    assert bytes(table.colors) == bytes(value for color in CLASS_COLORS for value in color)
    assert table.model.startswith("tiny-")
    assert table.header.stamp.sec > 1.7e9


@pytest.mark.skipif(not importlib.util.find_spec("vision_msgs"), reason="vision_msgs is not installed (no wheels)")
def test_label_info_is_latched_and_follows_the_threshold(node: Client) -> None:
    from vision_msgs.msg import LabelInfo

    info = latched(node, LabelInfo, "/segmentation/side/label_info")
    assert [(c.class_id, c.class_name) for c in info.class_map] == list(enumerate(CLASS_NAMES))
    assert info.threshold == pytest.approx(UNKNOWN_BELOW)
    assert info.header.stamp.sec > 1.7e9
    assert node.set("unknown_below", 0.25) == (True, "")
    assert latched(node, LabelInfo, "/segmentation/side/label_info").threshold == pytest.approx(0.25)
    assert node.set("unknown_below", UNKNOWN_BELOW) == (True, "")


def test_camera_info_comes_with_the_stamp_of_the_mask(node: Client) -> None:
    got: list[CameraInfo] = []
    node.node.create_subscription(CameraInfo, "/segmentation/camera/camera_info", got.append, 10)
    publisher = node.node.create_publisher(CameraInfo, "/front/camera_info", 5)
    node.wait(lambda: publisher.get_subscription_count(), "the node subscribes")
    info = CameraInfo(height=120, width=160, distortion_model="plumb_bob", d=[0.1] * 5, k=[1.0] * 9)
    info.header.frame_id = "optical"
    info.header.stamp.sec = 1

    def sent_again() -> bool:  # the relay may match its publisher after others have, and a frame may overtake the info
        publisher.publish(info)
        send(node, 300, noise(5, 120, 160))
        return bool(got)

    node.wait(sent_again, "a camera_info")
    assert (got[-1].header.stamp.sec, got[-1].header.stamp.nanosec) == (300, 7)
    got[-1].header.stamp = info.header.stamp
    assert got[-1] == info


def test_max_rate_skips_frames_and_delays_none(node: Client) -> None:
    publisher = node.publisher("side")
    sent = 60
    start = time.monotonic()
    for sec in range(400, 400 + sent):
        publisher.publish(image(sec, noise(1, 32, 32)))
        node.spin(0.05)
    seconds = time.monotonic() - start
    node.spin(1.0)
    masks = len(node.got["side", "mask"])
    values = node.camera_values("side")
    assert 1 <= masks <= 5 * seconds + 3
    assert int(values["dropped: over max_rate"]) >= sent - masks - 5
    assert int(values["received"]) == int(values["processed"]) + int(values["dropped"])

"""Replaces the stamp in a serialised message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo

from unet_seg_ros.ros.camera_info import beside, stamped

FRAMES = st.text(max_size=20).filter(lambda text: "\0" not in text)


@given(FRAMES, st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1))
def test_only_the_stamp_changes(frame_id: str, sec: int, nanosec: int) -> None:
    info = CameraInfo(height=7, width=9, distortion_model="plumb_bob", d=[0.1, 0.2])
    info.header.frame_id = frame_id.encode("utf-8", "ignore").decode()
    message = deserialize_message(stamped(serialize_message(info), sec, nanosec), CameraInfo)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (sec, nanosec)
    message.header.stamp = info.header.stamp
    assert message == info


def test_big_endian_messages_get_the_stamp_too() -> None:
    message = b"\x00\x00\x00\x00" + bytes(8) + b"rest"
    assert stamped(message, 1, 2) == b"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02rest"


@pytest.mark.parametrize(
    ("image", "info"),
    [("/front/image_raw", "/front/camera_info"), ("/a/b/image", "/a/b/camera_info"), ("/image", "/camera_info")],
)
def test_the_topic_is_in_the_namespace_of_the_image(image: str, info: str) -> None:
    assert beside(image) == info

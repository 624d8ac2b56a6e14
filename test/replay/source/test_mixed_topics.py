"""A topic of a camera that holds messages of several types."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer

from test.replay import drives
from unet_seg_ros.replay.source.drive import TYPES, Drive, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE

STRING = "std_msgs/msg/String"


def cdr(message: Any) -> bytes:
    return bytes(TYPES.serialize_cdr(message, message.__msgtype__))


def opened(path: Path, *messages: tuple[str, str, bytes]) -> Drive:
    """A bag with one topic; its messages have a type, an encoding and contents."""
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.NONE)
        writer.start("ros2", "test")
        channels: dict[tuple[str, str], int] = {}
        for time_ns, (kind, encoding, contents) in enumerate(messages, 1):
            if (kind, encoding) not in channels:
                schema = writer.register_schema(kind, "ros2msg", b"")
                channels[kind, encoding] = writer.register_channel(drives.FRONT, encoding, schema)
            writer.add_message(channels[kind, encoding], time_ns, contents, time_ns)
        writer.finish()
    return open_source(path)


@pytest.mark.parametrize("raw_first", [False, True])
def test_raw_and_compressed_images_are_all_played_as_raw(raw_first: bool, tmp_path: Path) -> None:
    kinds = [
        (IMAGE, "cdr", cdr(drives.raw(0 if raw_first else 1))),
        (COMPRESSED_IMAGE, "cdr", cdr(drives.compressed(1 if raw_first else 0))),
    ]
    drive = opened(tmp_path / "a.mcap", *(kinds if raw_first else kinds[::-1]))
    assert drive.transport == "raw"
    frames = list(drive.frames())
    assert [frame.message.__msgtype__ for frame in frames] == [IMAGE, IMAGE]
    for index, frame in enumerate(frames):
        assert np.array_equal(message_pixels(frame.message), drives.picture(index))


@pytest.mark.parametrize(("kind", "encoding"), [(STRING, "cdr"), (IMAGE, "json"), (COMPRESSED_IMAGE, "ros1")])
@pytest.mark.parametrize("image_first", [False, True])
def test_other_messages_on_an_image_topic_are_reported(
    kind: str, encoding: str, image_first: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, other = (IMAGE, "cdr", cdr(drives.raw(0))), (kind, encoding, b"\0\1\0\0\2\0\0\0a\0")
    with caplog.at_level(logging.WARNING):
        drive = opened(tmp_path / "a.mcap", *((image, other) if image_first else (other, image)))
    assert [np.array_equal(message_pixels(f.message), drives.picture(0)) for f in drive.frames()] == [True]
    assert f"{drives.FRONT} holds {kind}" in caplog.text
    assert caplog.text.count("is not played") == 1

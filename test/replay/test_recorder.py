"""What is recorded is what was sent, and opens with any reader of rosbag2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from test.replay import drives
from unet_seg_ros.replay.drive import IMAGE, TYPES
from unet_seg_ros.replay.playback import CLASS_COVERAGE
from unet_seg_ros.replay.recorder import Recorder, typestore
from unet_seg_ros.replay.sources import open_source
from unet_seg_ros.replay.video import OverlayVideo


def test_a_recording_reads_back(tmp_path: Path) -> None:
    types = typestore()
    kinds = types.types
    region = kinds["unet_seg_msgs/msg/RegionCoverage"]("image", 4, np.float32([0.25, 0.75]), np.float32([1, np.nan]))
    coverage = kinds[CLASS_COVERAGE](drives.raw(0).header, "tiny", 2, 2, ["road", "sky"], [region], 0.5, 0.1, 3, 1e9)
    path = tmp_path / "drive.mcap"
    with Recorder(path) as recorder:
        for index in range(3):
            cdr = bytes(TYPES.serialize_cdr(drives.raw(index), IMAGE))
            recorder.write("/front/image_raw", IMAGE, drives.STAMP + index, cdr)
        recorder.write("/c", CLASS_COVERAGE, drives.STAMP + 9, bytes(types.serialize_cdr(coverage, CLASS_COVERAGE)))
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    with AnyReader([path]) as reader:
        assert {c.topic: (c.msgtype, c.msgcount) for c in reader.connections} == {
            "/front/image_raw": (IMAGE, 3),
            "/c": (CLASS_COVERAGE, 1),
        }
        read = [(t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]
    assert [t - drives.STAMP for t, _ in read] == [0, 1, 2, 9]
    assert bytes(read[1][1].data) == bytes(drives.raw(1).data)
    assert (read[3][1].model, read[3][1].dropped) == ("tiny", 3)
    assert read[3][1].regions[0].fraction.tolist() == [0.25, 0.75]
    assert open_source(path).length == 3


def test_a_recording_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def record() -> None:
        with Recorder(tmp_path / "drive.mcap") as recorder:
            recorder.write("/a", IMAGE, 1, bytes(TYPES.serialize_cdr(drives.raw(0), IMAGE)))
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        record()
    assert list(tmp_path.iterdir()) == []


def test_a_video_plays_at_the_rate_of_the_drive(tmp_path: Path) -> None:
    """Frames 1 (at the start), 3 and 6 (at the end) of six have no picture."""
    path = tmp_path / "overlay.webm"
    stamps = [10, 20, 30, 40, 50, 60]
    video = OverlayVideo(path, 20.0, stamps)
    for stamp, level in ((20, 40), (40, 120), (50, 200)):
        video.write(stamp, np.full((49, 65, 3), level, np.uint8))
    video.write(70, np.zeros((49, 65, 3), np.uint8))  # no frame of this drive
    video.close()
    drive = open_source(path)
    frames = list(drive.frames())
    assert [frame.at_ns for frame in frames] == [i * 50_000_000 for i in range(5)]
    levels = [float(frame.message.data.mean()) for frame in frames]
    assert np.allclose(levels, [40, 40, 120, 200, 200], atol=8)
    assert (frames[0].message.width, frames[0].message.height) == (64, 48)


def test_a_video_without_pictures_is_none(tmp_path: Path) -> None:
    OverlayVideo(tmp_path / "overlay.webm", 20.0, [1, 2]).close()
    assert list(tmp_path.iterdir()) == []

"""A recording holds what was written, and every reader of rosbag2 opens it."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from test.replay import drives
from unet_seg_ros.replay.record.recorder import Recorder, typestore
from unet_seg_ros.replay.source.drive import TYPES, image_message
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import CLASS_COVERAGE, IMAGE


def test_a_recording_holds_what_was_written(tmp_path: Path) -> None:
    types = typestore()
    kinds = types.types
    region = kinds["unet_seg_msgs/msg/RegionCoverage"]("image", 4, np.float32([0.25, 0.75]), np.float32([1, np.nan]))
    coverage = kinds[CLASS_COVERAGE](
        drives.raw(0).header, "tiny", 2, 2, ["road", "sky"], [region], 0.5, 0.1, 3, 2, 0.75, 1e9
    )
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


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Simulates a full disk: writing more bytes fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("room", [2**20, 2**12])  # the disk is full in the middle of the recording
def test_on_a_full_disk_only_the_recording_is_missing(tmp_path: Path, room: int) -> None:
    path = tmp_path / "drive.mcap"
    message = bytes(TYPES.serialize_cdr(image_message(np.zeros((400, 400, 3), np.uint8), "rgb8", 1, "a"), IMAGE))
    with files_of_at_most(room), Recorder(path) as recorder:
        for stamp in range(50 if room > 2**15 else 2):  # more messages than may wait
            recorder.write("/a", IMAGE, stamp, message)
    assert recorder.problem == f"{path}: not recorded: File too large"
    assert list(tmp_path.iterdir()) == []


def test_a_stamp_before_1970_is_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path / "drive.mcap") as recorder:
        recorder.write("/a", IMAGE, -5, bytes(TYPES.serialize_cdr(drives.raw(0), IMAGE)))
    with AnyReader([tmp_path / "drive.mcap"]) as reader:
        assert [time for _, time, _ in reader.messages()] == [0]

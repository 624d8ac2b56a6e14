"""Frames that do not fit into a GPU's memory together: each is tried alone, decoded once and counted once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unet_seg_ros.engine import OutOfMemory
from unet_seg_ros.ros.diagnostics import CameraStats, EngineStats
from unet_seg_ros.ros.worker import Worker


class FakeCamera:
    def __init__(self, name: str) -> None:
        self.name = self.topic = name
        self.stats = CameraStats()
        self.decoded = 0

    def decode(self, message: Any) -> np.ndarray:
        self.decoded += 1
        return message.pixels

    def publish(self, header: Any, *_: Any) -> None:
        if header == "unpublishable":
            raise RuntimeError(header)
        self.stats.count_processed(0.0)


def segment(frames: list[np.ndarray]) -> list[Any]:
    """A segmenter whose memory holds one frame, and none that is black."""
    if len(frames) > 1 or not frames[0].any():
        raise OutOfMemory("CUDA out of memory")
    return [SimpleNamespace(timings=(0.0,))]


def message(header: str, value: int = 1) -> Any:
    return SimpleNamespace(header=header, pixels=np.full((4, 4, 3), value, np.uint8))


@pytest.fixture
def cameras() -> dict[str, FakeCamera]:
    return {name: FakeCamera(name) for name in "abc"}


@pytest.fixture
def worker(cameras: dict[str, FakeCamera]) -> Worker:
    segmenter: Any = segment
    segment.max_pixels = 100  # type: ignore[attr-defined]
    logger: Any = SimpleNamespace(warning=lambda text: None)
    made = Worker(segmenter, cameras, EngineStats(), lambda: None, logger, lambda reason: None)  # type: ignore
    made.stop()  # its thread is not what is tested
    return made


def test_each_frame_is_tried_alone(worker: Worker, cameras: dict[str, FakeCamera]) -> None:
    waiting = {"a": message("a"), "b": message("b", value=0), "c": message("c")}
    worker._segment(waiting)
    assert waiting == {}
    assert [camera.decoded for camera in cameras.values()] == [1, 1, 1]
    assert [camera.stats.processed for camera in cameras.values()] == [1, 0, 1]
    assert cameras["b"].stats.drops == {"out of memory": 1}
    assert not cameras["a"].stats.drops


def test_a_later_failure_leaves_only_what_is_not_counted_yet(worker: Worker, cameras: dict[str, FakeCamera]) -> None:
    waiting = {"a": message("a"), "b": message("unpublishable"), "c": message("c")}
    with pytest.raises(RuntimeError, match="unpublishable"):
        worker._segment(waiting)
    assert list(waiting) == ["b", "c"]  # what the thread then counts as failed
    assert cameras["a"].stats.processed == 1

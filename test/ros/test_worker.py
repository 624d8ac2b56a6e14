"""The worker: errors of one frame, frames that do not fit into a GPU's memory together, and the stage times."""

from __future__ import annotations

from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unet_seg_ros.engine import OutOfMemory
from unet_seg_ros.health.trust import FAILED
from unet_seg_ros.ros.diagnostics import CameraStats, EngineStats
from unet_seg_ros.ros.worker import Waiting, Worker
from unet_seg_ros.segmenter import Timings
from unet_seg_ros.vocabulary import NODE_STAGES


class FakeCamera:
    def __init__(self, name: str) -> None:
        self.name = self.topic = name
        self.stats = CameraStats()
        self.decoded = 0
        self.timings: list[dict[str, float]] = []
        self.faults: list[Any] = []

    def decode(self, message: Any) -> np.ndarray:
        self.decoded += 1
        return message.pixels

    def publish(self, header: Any, *_: Any) -> None:
        if header.frame_id == "unpublishable":
            raise RuntimeError(header.frame_id)
        self.stats.count_processed(0.0)

    def publish_fault(self, header: Any, seen: Any) -> None:
        self.faults.append(seen)

    def publish_timing(self, header: Any, seconds: dict[str, float]) -> None:
        self.timings.append(seconds)


def segment(frames: list[np.ndarray]) -> list[Any]:
    """A segmenter whose memory is too small for two frames, and for a black one."""
    if len(frames) > 1 or not frames[0].any():
        raise OutOfMemory("CUDA out of memory")
    return [SimpleNamespace(timings=Timings(0.25, 0.5, 0.125), fault="broken" if frames[0][0, 0, 0] == 9 else "")]


def message(frame_id: str, value: int = 1) -> Waiting:
    header = SimpleNamespace(frame_id=frame_id, stamp=SimpleNamespace(sec=-2, nanosec=7))
    return Waiting(SimpleNamespace(header=header, pixels=np.full((4, 4, 3), value, np.uint8)), monotonic() - 2)


@pytest.fixture
def cameras() -> dict[str, FakeCamera]:
    return {name: FakeCamera(name) for name in "abc"}


@pytest.fixture
def worker(cameras: dict[str, FakeCamera]) -> Worker:
    segmenter: Any = segment
    segment.max_pixels = 100  # type: ignore[attr-defined]
    logger: Any = SimpleNamespace(warning=lambda text: None)
    made = Worker(segmenter, cameras, EngineStats(), lambda: None, logger, lambda reason: None)  # type: ignore
    made.stop()  # its thread is not tested here
    return made


def test_frames_that_do_not_fit_together_are_segmented_alone(worker: Worker, cameras: dict[str, FakeCamera]) -> None:
    waiting = {"a": message("a"), "b": message("b", value=0), "c": message("c")}
    worker._segment(waiting)
    assert waiting == {}
    assert [camera.decoded for camera in cameras.values()] == [1, 1, 1]
    assert [camera.stats.processed for camera in cameras.values()] == [1, 0, 1]
    assert cameras["b"].stats.drops == {"out of memory": 1}
    assert cameras["b"].faults == [FAILED]
    assert not cameras["a"].stats.drops
    assert not cameras["a"].faults


def test_an_error_of_one_camera_drops_its_own_frame_alone(
    worker: Worker, cameras: dict[str, FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rclpy.ok", lambda: True)
    waiting = {"a": message("a"), "b": message("unpublishable"), "c": message("c")}
    worker._segment(waiting)
    assert waiting == {}
    assert [camera.stats.processed for camera in cameras.values()] == [1, 0, 1]
    assert cameras["b"].stats.drops == {"failed": 1}
    assert cameras["b"].faults == [FAILED]
    monkeypatch.setattr(cameras["a"], "decode", lambda message: 1 // 0)
    worker._segment({"a": message("a"), "b": message("b")})
    assert cameras["a"].stats.drops == {"failed": 1}
    assert cameras["b"].stats.processed == 1


def test_a_health_message_that_fails_does_not_end_the_thread(cameras: dict[str, FakeCamera], monkeypatch: Any) -> None:
    monkeypatch.setattr("rclpy.ok", lambda: True)
    monkeypatch.setattr(cameras["a"], "publish_fault", lambda *_: 1 // 0)
    said: list[str] = []
    logger: Any = SimpleNamespace(warning=said.append)
    worker = Worker(segment, cameras, EngineStats(), lambda: None, logger, lambda reason: None)  # type: ignore
    worker.receive(cameras["a"], message("a", value=0).message)  # type: ignore
    worker.receive(cameras["c"], message("c").message)  # type: ignore
    deadline = monotonic() + 10
    while not cameras["c"].stats.processed and monotonic() < deadline:
        sleep(0.01)
    worker.stop()
    assert cameras["a"].stats.drops == {"out of memory": 1}
    assert cameras["c"].stats.processed == 1
    assert any("health not published" in text and "ZeroDivisionError" in text for text in said)


def test_the_stages_of_a_published_frame_add_up(worker: Worker, cameras: dict[str, FakeCamera]) -> None:
    before = monotonic()
    worker._segment({"a": message("a"), "b": message("b", value=0)})
    assert cameras["b"].timings == []  # it was dropped
    (told,) = cameras["a"].timings
    assert told.keys() == set(NODE_STAGES)
    assert (told["preprocess"], told["forward"], told["postprocess"]) == (0.25, 0.5, 0.125)
    assert 2 <= sum(told.values()) + 1e-6 <= 2 + 2e-6 + monotonic() - before  # received 2 s ago


def test_a_frame_with_unusable_output_gets_health_and_no_mask(worker: Worker, cameras: dict[str, FakeCamera]) -> None:
    worker._segment({"a": message("a", value=9)})
    assert cameras["a"].stats.drops == {"broken model": 1}
    assert cameras["a"].stats.processed == 0
    assert [seen.fault for seen in cameras["a"].faults] == ["broken"]

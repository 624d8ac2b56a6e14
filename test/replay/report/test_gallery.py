"""The pictures of a report: the worst frames are right, and a long drive needs no more memory than a short one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from unet_seg_ros.data.labels import GROUPINGS, VOID, palette
from unet_seg_ros.health.trust import Health, Level
from unet_seg_ros.replay.report.colors import RIGHT, UNKNOWN, WRONG
from unet_seg_ros.replay.report.gallery import (
    MAX_FRAMES,
    WORST,
    Gallery,
    Shot,
    errors,
    pixels_of,
    shrunk,
)
from unet_seg_ros.replay.report.video import write_video
from unet_seg_ros.replay.result import FrameId
from unet_seg_ros.replay.source.drive import Array
from unet_seg_ros.replay.source.video_and_folder import open_source

SECOND = 10**9
TABLE = GROUPINGS["cityscapes19"].table


def level(value: int, height: int = 48, width: int = 64) -> Array:
    return np.full((height, width, 3), value, np.uint8)


def take(gallery: Gallery, at_ns: int, score: float, camera: str = "front", label: Array | None = None) -> None:
    mask = np.full((48, 64), VOID, np.uint8)  # the overlay is the picture itself
    gallery.take(Shot(FrameId(camera, 0, at_ns + 7, at_ns), level(100), mask, mask, label), score, f"score {score}")


def test_the_worst_frames_are_a_second_apart() -> None:
    gallery = Gallery(palette(), TABLE)
    scores = np.sin(np.arange(400) / 15) + np.random.default_rng(3).random(400) / 10  # neighbours are similar
    for index, score in enumerate(scores):
        take(gallery, index * SECOND // 10, float(score))
    times = [bad.at_ns for bad in gallery.worst]
    assert len(times) == WORST
    assert [bad.score for bad in gallery.worst] == sorted((bad.score for bad in gallery.worst), reverse=True)
    assert all(abs(a - b) >= SECOND for a in times for b in times if a != b)
    assert gallery.worst[0].score == scores.max()
    assert gallery.worst[0].stamp_ns == gallery.worst[0].at_ns + 7
    assert gallery.worst[-1].score > np.quantile(scores, 0.7)


def test_a_frame_without_a_score_is_not_shown() -> None:
    gallery = Gallery(palette(), TABLE)
    take(gallery, 0, float("nan"))
    take(gallery, SECOND // 2, 0.1)
    take(gallery, SECOND // 2, 0.2, camera="left")  # frames of another camera are independent
    assert [bad.score for bad in gallery.worst] == [0.2, 0.1]


def test_flagged_frames_are_ranked_by_trust() -> None:
    gallery = Gallery(palette(), TABLE)
    mask = np.zeros((48, 64), np.uint8)
    for index, (trust, flags) in enumerate([(0.6, ("dark",)), (0.1, ("frozen",)), (0.05, ()), (0.5, ("dark", "late"))]):
        health = Health(Level.DEGRADED, trust, flags, "why", {}, {})
        frame = FrameId("front", index, index * SECOND, index * SECOND)
        gallery.take(Shot(frame, level(100), mask, mask, health=health), 1.0, "score")
    assert [bad.why for bad in gallery.distrusted] == ["trust 0.10: why", "trust 0.50: why", "trust 0.60: why"]


def test_tiles_depend_on_whether_there_is_a_label() -> None:
    gallery = Gallery(palette(), TABLE)
    take(gallery, 0, 1.0)
    take(gallery, 2 * SECOND, 2.0, label=np.zeros((48, 64), np.uint8))
    with_label, without = gallery.worst
    assert list(with_label.tiles) == ["input", "label", "prediction", "error"]
    assert list(without.tiles) == ["input", "prediction", "confidence"]
    assert np.allclose(pixels_of(with_label.tiles["error"]), WRONG, atol=6)
    assert np.allclose(pixels_of(without.tiles["input"]), 100, atol=3)


def test_errors_are_those_of_the_grouping() -> None:
    table = GROUPINGS["camvid11"].table  # truck and car are one class in this grouping
    label, mask = np.array([[14, 14, VOID]], np.uint8), np.array([[13, 0, 13]], np.uint8)
    assert errors(table[label], table[mask]).tolist() == [[list(RIGHT), list(WRONG), list(UNKNOWN)]]


def test_a_long_drive_keeps_fewer_pictures() -> None:
    gallery = Gallery(palette(), TABLE)
    count = 5 * MAX_FRAMES
    for index in range(count):
        take(gallery, index * SECOND // 20, 0.0)
    times = [picture.at_ns for picture in gallery.films["front"]]
    assert MAX_FRAMES // 2 <= len(times) <= MAX_FRAMES
    assert times[0] == 0
    assert len(set(np.diff(times))) == 1  # evenly spaced
    assert times[-1] + np.diff(times)[0] >= (count - 1) * SECOND // 20


def test_shrinking_never_mixes_class_ids() -> None:
    mask = np.zeros((40, 1300), np.uint8)
    mask[:, 1::2] = 200
    assert set(np.unique(shrunk(mask))) <= {0, 200}
    assert shrunk(level(7, 40, 1300)).shape == (20, 640, 3)


def test_a_video_shows_each_frame_until_the_next(tmp_path: Path) -> None:
    gallery = Gallery(palette(), TABLE)
    void = np.full((49, 65), VOID, np.uint8)
    for at, value in ((0, 40), (50, 120), (100, 160), (250, 200)):  # two frames were dropped
        gallery.take(Shot(FrameId("front", 0, at, at * 10**6), level(value, 49, 65), void, void), 0.0, "")
    film = gallery.films["front"]
    path = tmp_path / "overlay.webm"
    assert write_video(path, film) == 1.0
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0)
    frames = list(open_source(path).frames())
    levels = [float(frame.message.data.mean()) for frame in frames]
    assert np.allclose(levels, [40, 120, 160, 160, 160, 200], atol=8)
    assert (frames[0].message.width, frames[0].message.height) == (64, 48)


def test_the_video_of_a_long_drive_is_faster(tmp_path: Path) -> None:
    gallery = Gallery(palette(), TABLE)
    for index in range(20):
        take(gallery, index * 10 * SECOND, 0.0)
    speed = write_video(tmp_path / "overlay.webm", gallery.films["front"])
    assert speed == pytest.approx(50.0)  # 5 pictures per second, not one per 10 s
    assert len(list(open_source(tmp_path / "overlay.webm").frames())) == 20


def test_a_video_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    gallery = Gallery(palette(), TABLE)
    take(gallery, 0, 0.0)
    with pytest.raises(OSError, match=r"overlay\.webm"):
        write_video(tmp_path / "missing" / "overlay.webm", gallery.films["front"])

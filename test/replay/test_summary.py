"""The figures against brute force, on drives that were never played."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from unet_seg_ros.labels import GROUPINGS, NUM_CLASSES
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.replay.drive import Drive, SourceError, image_message
from unet_seg_ros.replay.playback import Playback, Sent, frame_rate
from unet_seg_ros.replay.plots import plot
from unet_seg_ros.replay.review import Review, Reviewer, sheet, write_sheet
from unet_seg_ros.replay.summary import (
    BY_THE_NODE,
    LOST_AFTER,
    LOST_BEFORE,
    UNFINISHED,
    accuracy,
    latency,
    reasons,
    summarize,
    text,
)

RNG = np.random.default_rng(5)


def sent(index: int, delay_ns: int | None, camera: str = "front") -> Sent:
    at = index * 50_000_000
    begin = 10**12 + at + 1000
    return Sent(camera, 10**9 + at, at, begin, None, None if delay_ns is None else begin + delay_ns)


def counts(received: int, processed: int, **drops: int) -> dict[str, str]:
    found = {"received": received, "processed": processed, "dropped": sum(drops.values())}
    return {key: str(n) for key, n in found.items()} | {f"dropped: {key}": str(n) for key, n in drops.items()}


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_latency_is_that_of_sorted_ranks(count: int) -> None:
    seconds = RNG.exponential(0.1, count).tolist()
    found = latency(seconds)
    assert found is not None
    ranked = sorted(seconds)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        below, part = divmod(share * (count - 1), 1)
        above = min(int(below) + 1, count - 1)
        expected = ranked[int(below)] * (1 - part) + ranked[above] * part
        assert found[name] == pytest.approx(expected, rel=1e-12)
    assert found["max"] == ranked[-1]
    assert found["mean"] == pytest.approx(sum(seconds) / count)


def test_no_latency_without_masks() -> None:
    assert latency([]) is None


def test_reasons_sum_to_what_was_dropped() -> None:
    assert reasons(10, 10, counts(10, 10), 0) == {}
    why = reasons(100, 80, counts(97, 82, replaced=9, malformed=5), 12)
    assert why == {"replaced": 9, "malformed": 5, UNFINISHED: 1, LOST_BEFORE: 3, LOST_AFTER: 2}
    assert sum(why.values()) == 20
    assert reasons(100, 80, {}, 12) == {BY_THE_NODE: 12, LOST_BEFORE: 8}


def test_the_rate_is_the_median() -> None:
    frames = [sent(index, None) for index in (0, 1, 2, 9, 10)]
    assert frame_rate(frames) == pytest.approx(20.0)
    assert frame_rate(frames[:1]) == 10.0


def made_up() -> tuple[Drive, Playback, Review]:
    delays = [None if i % 5 == 4 else int(d) for i, d in enumerate(RNG.integers(10**7, 10**9, 40))]
    frames = [sent(index, delay) for index, delay in enumerate(delays)]
    frames += [sent(index, None, "left") for index in range(3)]
    cameras = {"front": counts(40, 32, busy=8), "left": counts(0, 0)}
    found = Review(ConfusionMatrix(GROUPINGS["camvid11"]), model="tiny-123", labelled=2)
    for _ in range(2):
        label, mask = RNG.integers(0, NUM_CLASSES, (2, 8, 8)).astype(np.uint8)
        found.confusion.update(label, mask)
    drive = Drive(Path("drive.mcap"), {"front": "/front/image", "left": "/left/image"}, "raw", 43, lambda: iter(()))
    return drive, Playback(frames, cameras, {"device": "cpu", "precision": "fp32"}), found


def test_a_summary() -> None:
    drive, playback, found = made_up()
    summary = summarize(drive, playback, found)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    front, left = summary["cameras"]["front"], summary["cameras"]["left"]
    assert (front["sent"], front["masks"], front["dropped"]) == (40, 32, 8)
    assert front["dropped_why"] == {"busy": 8}
    answered = [s for s in playback.frames if s.received_ns is not None]
    seconds = [(s.received_ns - s.sent_ns) / 1e9 for s in answered if s.received_ns]
    assert front["latency"]["p95"] == pytest.approx(np.percentile(seconds, 95))
    assert front["rate"]["drive"] == pytest.approx(20.0)
    assert front["rate"]["sent"] == pytest.approx(20.0)
    times = sorted(s.received_ns for s in answered if s.received_ns)
    assert front["rate"]["masks"] == pytest.approx(31e9 / (times[-1] - times[0]))
    assert (left["masks"], left["latency"], left["rate"]["masks"]) == (0, None, None)
    assert left["dropped_why"] == {LOST_BEFORE: 3}
    assert summary["model"] == "tiny-123"
    for part in ("40 in, 32 out, 8 dropped; 8 busy", "tiny-123 on cpu in fp32", "mIoU", "Bicyclist"):
        assert part in text(summary)


def test_labels_are_not_compared_with_other_classes() -> None:
    drive, playback, found = made_up()
    assert summarize(drive, playback, found)["labels_unused"] is None
    found.class_names = ("something", *found.class_names[1:])
    summary = summarize(drive, playback, found)
    assert summary["accuracy"] is None
    assert summary["labels_unused"] == "tiny-123: its classes are not Cityscapes' 19"
    assert "labels   not compared; tiny-123: its classes" in text(summary)
    assert "mIoU" not in text(summary)
    found.labelled = 0
    assert summarize(drive, playback, found)["labels_unused"] is None


def test_a_label_of_colours_is_named(tmp_path: Path) -> None:
    label = tmp_path / "colours.png"
    assert cv2.imwrite(str(label), np.zeros((4, 6, 3), np.uint8))
    frame = Sent("front", 10, 0, 0, label, 1)
    mask = image_message(np.zeros((4, 2, 3), np.uint8), "mono8", 10, "front")
    with pytest.raises(SourceError, match=r"colours\.png: not an 8-bit single-channel image"):
        Reviewer([frame], GROUPINGS["cityscapes19"], {}).take("front", "mask", mask)


def test_a_sheet_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"sheet\.png: can't be written"):
        write_sheet(np.zeros((4, 4, 3), np.uint8), tmp_path / "missing" / "sheet.png")


def test_accuracy_is_that_of_the_sums_and_has_no_nan() -> None:
    grouping = GROUPINGS["cityscapes19"]
    confusion = ConfusionMatrix(grouping)
    pairs = [RNG.integers(0, 4, (2, 10, 10)).astype(np.uint8) for _ in range(3)]
    for label, mask in pairs:
        confusion.update(label, mask)
    found = accuracy(confusion, 3)
    labels, masks = np.stack(pairs, 1)
    for index, name in enumerate(grouping.names):
        either = ((labels == index) | (masks == index)).sum()
        both = ((labels == index) & (masks == index)).sum()
        assert found["iou"][name] == (pytest.approx(both / either) if either else None)
    assert found["miou"] == pytest.approx(np.mean([v for v in found["iou"].values() if v is not None]))
    assert found["pixel_accuracy"] == pytest.approx((labels == masks).mean())


def test_a_summary_of_nothing_is_readable(tmp_path: Path) -> None:
    drive, _, found = made_up()
    found.labelled = 0
    summary = summarize(drive, Playback([], {"front": {}, "left": {}}, {}), found)
    assert summary["accuracy"] is None
    assert "0 in, 0 out" in text(summary)
    assert sheet(found) is None
    plot(found, [sent(index, None) for index in range(3)], tmp_path / "coverage.png")
    assert cv2.imread(str(tmp_path / "coverage.png")) is not None

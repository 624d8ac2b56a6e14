"""Ignored and unknown pixels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unet_seg_ros.data.labels import CLASS_NAMES, VOID
from unet_seg_ros.masking import Ignored, masked
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.segmenter import Segmentation, Timings

LOWER_HALF = "0 0.5 1 0.5, 1 1 0 1"


def segmentation(height: int = 20, width: int = 30, seed: int = 0) -> Segmentation:
    rng = np.random.default_rng(seed)
    mask, confidence = rng.integers(0, 19, (height, width), np.uint8), rng.integers(1, 256, (height, width), np.uint8)
    return Segmentation(mask, confidence, CLASS_NAMES, Timings(0, 0, 0))


def test_without_ignored_pixels_nothing_is_copied() -> None:
    seen = segmentation()
    assert masked(seen) is seen
    assert masked(seen, Ignored(())) is seen


@pytest.mark.parametrize(("height", "width"), [(20, 30), (21, 7), (1, 1), (2, 501)])
def test_ignored_pixels_count_in_no_figure(height: int, width: int) -> None:
    seen = segmentation(height, width)
    out = masked(seen, Ignored((LOWER_HALF,)))
    lower = np.broadcast_to(((np.arange(height) + 0.5) / height >= 0.5)[:, None], (height, width))
    np.testing.assert_array_equal(out.mask, np.where(lower, VOID, seen.mask))
    np.testing.assert_array_equal(out.confidence, np.where(lower, 0, seen.confidence))
    assert out.ignored == lower.sum()
    if lower.all():
        return
    upper = Segmentation(seen.mask[~lower][None], seen.confidence[~lower][None], CLASS_NAMES, seen.timings).coverage()
    coverage = out.coverage()
    assert coverage.mean_confidence == pytest.approx(upper.mean_confidence)
    assert coverage.low_confidence_fraction == pytest.approx(upper.low_confidence_fraction)
    np.testing.assert_array_equal(coverage.regions[0].fraction, upper.regions[0].fraction)


def test_a_frame_may_be_ignored_completely() -> None:
    coverage = masked(segmentation(), Ignored(("0 0 1 0 1 1 0 1",))).coverage([Region("a", ((0, 0), (1, 0), (1, 1)))])
    assert (coverage.mean_confidence, coverage.low_confidence_fraction) == (0, 0)
    assert [region.valid_pixels for region in coverage.regions] == [0, 0]


def test_polygons_and_a_picture_are_combined(tmp_path: Path) -> None:
    picture = np.zeros((10, 10), np.uint8)
    picture[:, 8:] = 1
    path = tmp_path / "mirror.png"
    cv2.imwrite(str(path), picture)
    ignored = Ignored(("0 0 0.1 0 0.1 1 0 1", LOWER_HALF, str(path))).pixels(20, 40)
    expected = np.zeros((20, 40), bool)
    expected[:, :4] = expected[10:] = True
    expected[:, 32:] = True
    np.testing.assert_array_equal(ignored, expected)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("0 0 1 1", "ignore.front: '0 0 1 1': 2 points, a polygon has at least 3"),
        ("0 0 1 0 1", "ignore.front: '0 0 1 0 1': 5 numbers, x and y must come in pairs"),
        ("0 0 2 0 1 1", "ignore.front: '0 0 2 0 1 1': 2.0 is not a fraction of the frame"),
        ("nan 0 1 0 1 1", "nan is not a fraction"),
        ("bonnet.png", "ignore.front: 'bonnet.png' is neither a polygon (numbers x0 y0 x1 y1 …) nor a picture"),
        (".", "ignore.front: '.' is neither"),
    ],
)
def test_a_wrong_entry_is_named(entry: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Ignored((entry,), "ignore.front")


def test_a_file_that_is_not_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG nothing")
    with pytest.raises(ValueError, match="nor a picture that can be read"):
        Ignored((str(path),))


def test_a_picture_is_read_by_the_common_reader(tmp_path: Path) -> None:
    """Also under a name that is not UTF-8; and one that is cut short is refused, although a decoder fills it up."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[40:, :, 0] = 1  # the last rows are almost black
    data = cv2.imencode(".png", picture)[1].tobytes()
    Path(name).write_bytes(data)
    np.testing.assert_array_equal(Ignored((name,)).pixels(64, 64), picture.any(axis=2))
    Path(name).write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"nor a picture that can be read: .* cut short"):
        Ignored((name,))
    bomb = Path(name).with_name("bomb.png")
    bomb.write_bytes(data[:16] + (32768).to_bytes(4, "big") * 2 + data[24:])
    with pytest.raises(ValueError, match="more than 16777216 pixels"):
        Ignored((str(bomb),))


@given(arrays(np.uint8, (5, 7)), st.floats(0, 1))
def test_pixels_below_the_threshold_become_255(confidence: np.ndarray, threshold: float) -> None:
    seen = Segmentation(np.full((5, 7), 3, np.uint8), confidence, CLASS_NAMES, Timings(0, 0, 0))
    out = masked(seen, unknown_below=threshold)
    np.testing.assert_array_equal(out.mask == VOID, confidence / 255 < threshold)
    assert out.confidence is confidence
    assert out.coverage().mean_confidence == seen.coverage().mean_confidence  # the confidence does not change
    assert out.coverage().regions[0].valid_pixels == (out.mask != VOID).sum()

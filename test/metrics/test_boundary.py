"""Boundary IoU against its definition, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from unet_seg_ros.data.labels import GROUPINGS, VOID
from unet_seg_ros.metrics.boundary import BoundaryIoU, band

NINETEEN = GROUPINGS["cityscapes19"]


def brute_band(mask: NDArray[np.uint8], distance: int) -> set[tuple[int, int]]:
    height, width = mask.shape

    def outside(y: int, x: int) -> bool:
        return not (0 <= y < height and 0 <= x < width and mask[y, x])

    reach = range(-distance, distance + 1)
    return {
        (y, x)
        for y, x in np.ndindex(height, width)
        if mask[y, x] and any(outside(y + i, x + j) for i in reach for j in reach)
    }


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(0, 10**6))
def test_the_band_follows_its_definition(height: int, width: int, distance: int, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < 0.8).astype(np.uint8)
    assert {tuple(p) for p in np.argwhere(band(mask, distance)).tolist()} == brute_band(mask, distance)


def blocks(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Runs of five pixels of one class or void, so that bands and insides both occur."""
    return np.repeat(rng.choice([0, 10, 13, VOID], (height, 4)), 5, axis=1)[:, :width].astype(np.uint8)


@given(st.integers(1, 15), st.integers(1, 15), st.sampled_from([0.02, 0.1, 0.3]), st.integers(0, 10**6))
def test_the_counts_follow_the_definition(height: int, width: int, ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction = blocks(rng, height, width), blocks(rng, height, width)
    found = BoundaryIoU(NINETEEN, ratio)
    found.update(label, prediction)
    distance = max(1, round(ratio * (height**2 + width**2) ** 0.5))
    for k in (0, 10, 13):
        masks = [((mask == k) & (label != VOID)).astype(np.uint8) for mask in (label, prediction)]
        a, b = (brute_band(mask, distance) for mask in masks)
        assert (found.intersection[k], found.union[k]) == (len(a & b), len(a | b))
        np.testing.assert_array_equal(found.iou()[k], len(a & b) / len(a | b) if a | b else np.nan)
    assert np.isnan(np.delete(found.iou(), [0, 10, 13])).all()


@given(st.integers(1, 15), st.integers(1, 15), st.integers(0, 10**6))
def test_predictions_at_void_labels_do_not_count(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction, other = (blocks(rng, height, width) for _ in range(3))
    kept = label.copy(), prediction.copy()
    filled, refilled, right = (BoundaryIoU(NINETEEN) for _ in range(3))
    filled.update(label, prediction)
    refilled.update(label, np.where(label == VOID, other, prediction))
    np.testing.assert_array_equal([filled.intersection, filled.union], [refilled.intersection, refilled.union])
    right.update(label, np.where(label == VOID, other, label))
    assert set(np.flatnonzero(right.iou() == 1)) == set(np.unique(label)) - {VOID}
    assert (label == kept[0]).all()
    assert (prediction == kept[1]).all()


@given(st.integers(0, 4), st.integers(0, 10**6))
def test_summed_counts_equal_one_evaluation(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [(blocks(rng, 7, 11), blocks(rng, 7, 11)) for _ in range(4)]
    first, second, whole = (BoundaryIoU(NINETEEN) for _ in range(3))
    for index, (label, prediction) in enumerate(pairs):
        (first if index < cut else second).update(label, prediction)
        whole.update(label, prediction)
    first += second
    np.testing.assert_array_equal([first.intersection, first.union], [whole.intersection, whole.union])
    np.testing.assert_array_equal(first.iou(), whole.iou())


@pytest.mark.parametrize(("shape", "width"), [((1024, 2048), 46), ((360, 480), 12), ((101, 99), 3), ((9, 9), 1)])
def test_the_width_of_the_band_follows_the_diagonal(shape: tuple[int, int], width: int) -> None:
    """2 % of the diagonal, rounded: 45.8, 12.0, 2.8, 0.3 pixels."""
    found = BoundaryIoU(NINETEEN)
    found.update(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
    assert found.union[0] == shape[0] * shape[1] - (shape[0] - 2 * width) * (shape[1] - 2 * width)


def test_images_of_one_pixel_no_pixel_and_only_void() -> None:
    pixel = BoundaryIoU(NINETEEN)
    pixel.update(np.array([[13]], np.uint8), np.array([[13]], np.uint8))
    assert pixel.mean_iou() == pixel.union.sum() == 1
    nothing = BoundaryIoU(NINETEEN)
    nothing.update(np.zeros((0, 5), np.uint8), np.zeros((0, 5), np.uint8))
    nothing.update(np.full((3, 5), VOID, np.uint8), np.zeros((3, 5), np.uint8))
    assert np.isnan(nothing.iou()).all()
    assert np.isnan(nothing.mean_iou())


@pytest.mark.parametrize("other", [BoundaryIoU(GROUPINGS["camvid11"]), BoundaryIoU(NINETEEN, 0.01)])
def test_counts_of_another_grouping_or_width_are_refused(other: BoundaryIoU) -> None:
    found = BoundaryIoU(NINETEEN)
    with pytest.raises(ValueError, match=r"counts of \w+ at 0\.0\d* cannot be added to .* cityscapes19 at 0\.02"):
        found += other


def test_a_shifted_outline_lowers_it_more_than_the_iou() -> None:
    label = np.zeros((100, 100), np.uint8)
    label[20:80, 20:80] = 13
    shifted = np.roll(label, 2, axis=1)
    found = BoundaryIoU(NINETEEN)
    found.update(label, label)
    assert found.mean_iou() == 1
    found = BoundaryIoU(NINETEEN)
    found.update(label, shifted)
    both, either = (label == 13) & (shifted == 13), (label == 13) | (shifted == 13)
    assert 0 < found.iou()[13] < 0.7 < both.sum() / either.sum()


def test_groups_void_and_sums_by_hand() -> None:
    label, prediction = np.full((9, 9), 13, np.uint8), np.full((9, 9), 15, np.uint8)
    parts = [BoundaryIoU(GROUPINGS["camvid11"]) for _ in range(3)]
    parts[0].update(label, prediction)  # cars and buses are one class
    assert parts[0].mean_iou() == 1
    assert parts[0].union.sum() == 9 * 9 - 7 * 7
    parts[1].update(np.full((9, 9), 255, np.uint8), prediction)
    assert np.isnan(parts[1].mean_iou())
    parts[2].update(label, np.full((9, 9), 255, np.uint8))
    parts[1] += parts[2]
    parts[1] += parts[0]
    assert parts[1].mean_iou() == 0.5
    with pytest.raises(ValueError, match=r"the label is \(9, 9\) \(height, width\), the prediction \(8, 9\)"):
        parts[0].update(label, prediction[1:])

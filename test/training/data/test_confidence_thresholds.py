"""Which pixels of a mask are kept as labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.data.confidence_thresholds import DOUBTFUL, SURE, Confidences, sure_labels
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID, NUM_CLASSES, VOID

ROAD, BUS = 0, 15
LOW, HIGH = int(np.ceil(255 * DOUBTFUL)), int(np.ceil(255 * SURE))


def seen(mask: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> Confidences:
    confidences = Confidences()
    confidences.add(mask, confidence)
    return confidences


def random_look(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array([*range(NUM_CLASSES), VOID], np.uint8), (37, 53))
    return mask, rng.integers(0, 256, mask.shape, np.uint8)


@given(st.integers(0, 1000), st.floats(0.01, 1))
def test_a_threshold_keeps_the_pixels_of_highest_confidence(seed: int, share: float) -> None:
    """Compared with sorting the confidences of each class."""
    mask, confidence = random_look(seed)
    found = seen(mask, confidence).thresholds(share)
    for train_id in range(NUM_CLASSES):
        values = np.sort(confidence[mask == train_id])[::-1]
        expected = values[int(np.ceil(share * len(values))) - 1] if len(values) else HIGH
        assert found[train_id] == min(max(expected, LOW), HIGH)


@given(st.integers(0, 1000), st.floats(0.05, 0.9), st.floats(0.01, 0.1))
def test_a_larger_share_never_keeps_fewer_pixels(seed: int, share: float, more: float) -> None:
    mask, confidence = random_look(seed)
    confidences = seen(mask, confidence)
    few, many = (sure_labels(mask, confidence, confidences.thresholds(s)) for s in (share, share + more))
    assert ((few == 0) | (few == many)).all()


def test_a_rare_class_of_low_confidence_is_kept() -> None:
    """One threshold for all classes that keeps the bus also keeps road of low confidence; one per class does not."""
    mask = np.full((100, 100), ROAD, np.uint8)
    confidence = np.full((100, 100), 250, np.uint8)
    confidence[50:] = 180
    mask[:2, :10] = BUS
    confidence[:2, :10] = np.arange(130, 150).reshape(2, 10)
    labels = sure_labels(mask, confidence, seen(mask, confidence).thresholds(0.4))
    kept = ID_TO_TRAIN_ID[labels]
    assert (kept == BUS).sum() == 8
    assert confidence[kept == BUS].min() == 142
    assert (kept[confidence == 180] == VOID).all()
    assert (kept[2:50] == ROAD).all()


def test_pixels_below_the_threshold_are_unlabeled() -> None:
    mask = np.array([[ROAD, ROAD, BUS, VOID]], np.uint8)
    confidence = np.array([[255, LOW - 1, LOW, 255]], np.uint8)
    labels = sure_labels(mask, confidence, np.full(NUM_CLASSES, LOW, np.uint8))
    assert labels.tolist() == [[7, 0, 28, 0]]
    assert seen(mask, np.full_like(confidence, LOW - 1)).thresholds(1.0).min() == LOW


def test_void_pixels_are_not_counted() -> None:
    mask = np.full((4, 4), VOID, np.uint8)
    confidences = seen(mask, np.full((4, 4), 255, np.uint8))
    assert confidences.counts.sum() == 0
    assert (confidences.thresholds(0.5) == HIGH).all()
    assert (sure_labels(mask, np.full((4, 4), 255, np.uint8), confidences.thresholds(0.5)) == 0).all()


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of a class's pixels to keep must be above 0 and at most 1"):
        Confidences().thresholds(share)


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the mask is \(2, 3\)"):
        sure_labels(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), np.zeros(NUM_CLASSES, np.uint8))

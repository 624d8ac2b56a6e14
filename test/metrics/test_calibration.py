"""The expected calibration error compared with a plain computation in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.metrics.calibration import Calibration

NINETEEN = GROUPINGS["cityscapes19"]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(0, 10**6))
def test_the_error_follows_its_definition(height: int, width: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction = (rng.choice([0, 5, 255], (height, width)).astype(np.uint8) for _ in range(2))
    confidence = rng.integers(0, 256, (height, width)).astype(np.uint8)
    found = Calibration(NINETEEN, bins)
    found.update(label, prediction, confidence)
    members: dict[int, list[tuple[float, bool]]] = {}
    for place in np.ndindex(height, width):
        if label[place] != 255:
            k = min(bins - 1, int(confidence[place]) * bins // 255)
            members.setdefault(k, []).append((confidence[place] / 255, bool(label[place] == prediction[place])))
    total = sum(map(len, members.values()))
    if not total:
        assert np.isnan(found.ece())
        return
    gaps = [abs(np.mean([c for c, _ in of]) - np.mean([r for _, r in of])) * len(of) for of in members.values()]
    assert found.ece() == pytest.approx(sum(gaps) / total, abs=1e-12)
    mean, accuracy, pixels = found.reliability()
    for k in range(bins):
        of = members.get(k, [])
        assert pixels[k] == len(of)
        if of:
            assert (mean[k], accuracy[k]) == pytest.approx((np.mean([c for c, _ in of]), np.mean([r for _, r in of])))
        else:
            assert np.isnan([mean[k], accuracy[k]]).all()


def test_a_sure_and_correct_prediction_is_calibrated() -> None:
    found = Calibration(GROUPINGS["camvid11"])
    found.update(np.full((4, 4), 13, np.uint8), np.full((4, 4), 15, np.uint8), np.full((4, 4), 255, np.uint8))
    assert found.ece() == 0
    wrong = Calibration(GROUPINGS["camvid11"])
    wrong.update(np.full((4, 4), 13, np.uint8), np.full((4, 4), 0, np.uint8), np.full((4, 4), 255, np.uint8))
    assert wrong.ece() == 1
    wrong += found
    assert wrong.ece() == 0.5


def test_other_sizes_are_refused() -> None:
    a, b = np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8)
    for arrays in ((a, b, a), (a, a, b)):
        with pytest.raises(ValueError, match=r"must have the same size, not \(3, 4\) \(height, width\)"):
            Calibration(NINETEEN).update(*arrays)


def test_void_labels_are_left_out_and_void_predictions_are_wrong() -> None:
    found = Calibration(NINETEEN, 2)
    label, prediction = np.array([[255, 255, 0, 0]], np.uint8), np.array([[0, 255, 255, 0]], np.uint8)
    found.update(label, prediction, np.array([[9, 9, 51, 255]], np.uint8))
    assert found.counts.sum() == 2
    assert found.counts[51].tolist() == [1, 0]
    assert found.counts[255].tolist() == [0, 1]
    assert found.ece() == pytest.approx(0.2 / 2)


def test_a_confidence_on_an_edge_belongs_to_the_upper_bin() -> None:
    """With 5 bins, 51 / 255 is an edge."""
    found = Calibration(NINETEEN, 5)
    pixels = np.zeros((1, 4), np.uint8)
    found.update(pixels, pixels, np.array([[50, 51, 204, 255]], np.uint8))
    assert found.reliability()[2].tolist() == [1, 1, 0, 0, 2]


def test_counts_of_another_grouping_are_refused() -> None:
    found = Calibration(NINETEEN)
    with pytest.raises(ValueError, match="counts of camvid11 cannot be added to counts of cityscapes19"):
        found += Calibration(GROUPINGS["camvid11"])
    assert np.isnan(found.ece())


def test_counts_do_not_overflow_32_bits() -> None:
    found = Calibration(NINETEEN)
    found.counts[255] = 2**40, 3 * 2**40
    assert found.ece() == 0.25

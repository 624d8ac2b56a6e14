"""The figures against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from unet_seg_ros.labels import GROUPINGS
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.replay.summary import accuracy, latency

RNG = np.random.default_rng(5)


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

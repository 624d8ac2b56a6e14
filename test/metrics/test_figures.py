"""The figures compared with slow direct computations."""

from __future__ import annotations

import numpy as np
import pytest

from unet_seg_ros.data.labels import GROUPINGS, NUM_CLASSES
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.metrics.figures import accuracy, distribution, stability
from unet_seg_ros.metrics.scorer import Score

RNG = np.random.default_rng(5)
LEFT = Region("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))


def masks(count: int, height: int = 10, width: int = 14) -> np.ndarray:
    return RNG.integers(0, 4, (count, height, width)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_percentiles_are_linear_between_ranks(count: int) -> None:
    seconds = RNG.exponential(0.1, count).tolist()
    found = distribution([*seconds, float("nan")])
    assert found is not None
    ranked = sorted(seconds)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        below, part = divmod(share * (count - 1), 1)
        above = min(int(below) + 1, count - 1)
        expected = ranked[int(below)] * (1 - part) + ranked[above] * part
        assert found[name] == pytest.approx(expected, rel=1e-12)  # type: ignore[literal-required]
    assert found["max"] == ranked[-1]
    assert found["mean"] == pytest.approx(sum(seconds) / count)


def test_no_values_have_no_distribution() -> None:
    assert distribution([]) is None
    assert distribution([float("nan")]) is None


def test_without_labels_there_is_no_accuracy() -> None:
    score = Score(GROUPINGS["cityscapes19"])
    score.take("front", *masks(2))
    assert accuracy(score) is None
    assert stability(score)["flicker"] is None
    assert stability(score)["agreement"] is stability(score)["agreement_miou"] is None


def test_accuracy_comes_from_the_sums_and_has_no_nan() -> None:
    grouping = GROUPINGS["cityscapes19"]
    score = Score(grouping, [LEFT])
    labels, seen, confidence = masks(3), masks(3), RNG.integers(0, 256, (3, 10, 14)).astype(np.uint8)
    rows = [score.take("front", *frame) for frame in zip(seen, confidence, labels, strict=True)]
    found = accuracy(score)
    assert found is not None
    for where, part in ((found, slice(None)), (found["regions"]["left"], slice(0, 7))):
        for index, name in enumerate(grouping.names):
            label, mask = labels[..., part] == index, seen[..., part] == index
            either = (label | mask).sum()
            assert where["iou"][name] == (pytest.approx((label & mask).sum() / either) if either else None)
        assert where["miou"] == pytest.approx(np.mean([v for v in where["iou"].values() if v is not None]))
        assert where["pixel_accuracy"] == pytest.approx((labels[..., part] == seen[..., part]).mean())
    for name in grouping.names:
        union = sum(row[f"union.{name}"] for row in rows)
        assert found["iou"][name] == (sum(row[f"intersection.{name}"] for row in rows) / union if union else None)
    assert sum(row["labelled"] for row in rows) == labels.size
    assert sum(found["reliability"]["share"]) == pytest.approx(1.0)


def test_stability_equals_a_count_over_pixels() -> None:
    score = Score(GROUPINGS["cityscapes19"])
    seen, other, confidence = masks(3), masks(3), RNG.integers(0, 256, (3, 10, 14)).astype(np.uint8)
    for mask, sure, second in zip(seen, confidence, other, strict=True):
        score.take("front", mask, sure, None, second)
        score.take("left", mask[:5], sure[:5], None, second[:5])  # flickers by itself
    found = stability(score)
    changed = [(seen[1:] != seen[:-1]).sum(), (seen[1:, :5] != seen[:-1, :5]).sum()]
    assert found["flicker"] == sum(changed) / (2 * 140 + 2 * 70)
    assert found["confidence"] == pytest.approx((confidence.sum() + confidence[:, :5].sum()) / 255 / (3 * 210))
    assert found["agreement"] == ((seen == other).sum() + (seen[:, :5] == other[:, :5]).sum()) / (3 * 210)
    assert found["agreement_miou"] is not None


def test_summed_scores_equal_one_score_of_all_frames() -> None:
    grouping = GROUPINGS["categories"]
    one, parts = Score(grouping, [LEFT]), [Score(grouping, [LEFT]) for _ in range(3)]
    for part in parts:
        for index in range(4):
            mask, label, other = (RNG.integers(0, NUM_CLASSES, (9, 8)).astype(np.uint8) for _ in range(3))
            frame = (mask, RNG.integers(0, 256, (9, 8)).astype(np.uint8), label if index else None, other)
            part.take("front", *frame)
            one.take(str(id(part)), *frame)
    total = Score(grouping, [LEFT])
    for part in parts:
        total += part
    assert accuracy(total) == accuracy(one)
    assert stability(total) == stability(one)


def test_a_frame_of_another_size_has_no_flicker() -> None:
    score = Score(GROUPINGS["cityscapes19"])
    score.take("front", *masks(2))
    assert np.isnan(score.take("front", *masks(2, 5, 5))["flicker"])

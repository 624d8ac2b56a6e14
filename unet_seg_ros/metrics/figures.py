"""The figures of a report in a form that JSON can hold, computed from the sums of a ``Score`` and from lists of
seconds.

Shares, IoUs and confidences are 0..1. A value that was not measured is None, since JSON has no NaN. In ``Annotated``, a
text describes the field and a pair is a keyword of JSON Schema: ``tools/report_schema.py`` writes
docs/report.schema.json from both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.scorer import Score

Count = Annotated[int, ("minimum", 0)]
Share = Annotated[float, ("minimum", 0), ("maximum", 1)]


class Distribution(TypedDict):
    """Distribution in seconds over all frames with a known value. Percentiles are linear between ranks."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


FIGURES = tuple(Distribution.__annotations__)


class RegionAccuracy(TypedDict):
    """The accuracy within one region of interest."""

    miou: Share | None
    pixel_accuracy: Share | None
    iou: Annotated[dict[str, Share | None], "By class."]


class Reliability(TypedDict):
    """One entry for each bin of the confidence; bins without pixels are left out."""

    confidence: Annotated[list[float], "Mean confidence in the bin."]
    accuracy: Annotated[list[float], "Share of the bin's pixels that are predicted correctly."]
    share: Annotated[list[float], "Share of all pixels that are in the bin."]


class Accuracy(TypedDict):
    """The masks compared with labels. The value of a class is null if it occurs neither in labels nor in masks."""

    grouping: Annotated[str, "The grouping of the classes that were compared."]
    frames: Annotated[Count, "Frames with a label."]
    miou: Share | None
    pixel_accuracy: Share | None
    iou: Annotated[dict[str, Share | None], "By class."]
    boundary_iou: Annotated[Share | None, "Mean over the classes."]
    boundary_iou_per_class: Annotated[dict[str, Share | None], "By class."]
    ece: Annotated[Share | None, "Expected calibration error."]
    reliability: Reliability
    confusion: Annotated[list[list[Count]], "Pixels by label (row) and prediction (column); the last column is void."]
    regions: Annotated[dict[str, RegionAccuracy], "By name of the region."]


class Stability(TypedDict):
    """Figures that need no labels."""

    flicker: Annotated[Share | None, "Mean share of pixels with another class than in the previous frame."]
    confidence: Annotated[Share | None, "Mean probability of the predicted class."]
    agreement: Annotated[Share | None, "Share of pixels for which both models predict the same class."]
    agreement_miou: Annotated[Share | None, "mIoU between the two models' masks."]


def distribution(seconds: Sequence[float] | NDArray[np.float64]) -> Distribution | None:
    """Mean, percentiles (linear between ranks) and maximum without NaN; None if there is no value."""
    values = np.asarray(seconds, np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    p50, p95, p99 = (float(p) for p in np.percentile(values, [50, 95, 99]))
    return {"mean": float(values.mean()), "p50": p50, "p95": p95, "p99": p99, "max": float(values.max())}


def accuracy(score: Score) -> Accuracy | None:
    """None without labels."""
    if not score.labelled:
        return None
    return {
        "grouping": score.grouping.name,
        "frames": score.labelled,
        **region_accuracy(score.confusion),
        "boundary_iou": finite(score.boundary.mean_iou()),
        "boundary_iou_per_class": by_class(score.grouping, score.boundary.iou()),
        "ece": finite(score.calibration.ece()),
        "reliability": _reliability(score),
        "confusion": score.confusion.matrix.tolist(),
        "regions": {name: region_accuracy(matrix) for name, matrix in score.regions.items()},
    }


def streaming_miou(score: Score) -> float | None:
    """The mIoU of the streaming accuracy; None if no label was compared."""
    return finite(score.streaming.confusion.mean_iou()) if score.streaming.instants else None


def region_accuracy(confusion: ConfusionMatrix) -> RegionAccuracy:
    """mIoU, pixel accuracy and IoU per class."""
    return {
        "miou": finite(confusion.mean_iou()),
        "pixel_accuracy": finite(confusion.pixel_accuracy()),
        "iou": by_class(confusion.grouping, confusion.iou()),
    }


def by_class(grouping: Grouping, values: NDArray[np.float64]) -> dict[str, float | None]:
    """``values``, float64[classes], by the classes' names."""
    return dict(zip(grouping.names, map(finite, values), strict=True))


def _reliability(score: Score) -> Reliability:
    confidence, right, pixels = score.calibration.reliability()
    used = pixels > 0
    share = pixels[used] / max(pixels.sum(), 1)
    return {"confidence": confidence[used].tolist(), "accuracy": right[used].tolist(), "share": share.tolist()}


def stability(score: Score) -> Stability:
    """The figures that need no labels."""
    return {
        "flicker": score.flicker.value,
        "confidence": score.confidence.value,
        "agreement": score.agreement.value,
        "agreement_miou": finite(score.against.mean_iou()),
    }


def finite(value: float) -> float | None:
    """The value; None for NaN and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None

"""Figures of a drive: latency and accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unet_seg_ros.metrics import ConfusionMatrix


def latency(seconds: list[float]) -> dict[str, float] | None:
    """Mean, percentiles (linear between ranks) and maximum; None without any."""
    if not seconds:
        return None
    p50, p95, p99 = (float(p) for p in np.percentile(seconds, [50, 95, 99]))
    return {"mean": float(np.mean(seconds)), "p50": p50, "p95": p95, "p99": p99, "max": max(seconds)}


def accuracy(confusion: ConfusionMatrix, frames: int) -> dict[str, Any]:
    """mIoU, pixel accuracy and IoU per class of ``frames`` labelled frames."""
    iou = [_number(value) for value in confusion.iou()]
    return {
        "grouping": confusion.grouping.name,
        "frames": frames,
        "miou": _number(confusion.mean_iou()),
        "pixel_accuracy": _number(confusion.pixel_accuracy()),
        "iou": dict(zip(confusion.grouping.names, iou, strict=True)),
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None

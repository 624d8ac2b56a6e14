"""What each frame's mask is worth, summed over a drive: accuracy where there are labels, and stability."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from unet_seg_ros.cityscapes import read_label
from unet_seg_ros.labels import ID_TO_TRAIN_ID, Grouping
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.replay.drive import Array, SourceError


class Evaluation:
    """Takes the frames of all cameras in order; keeps a mask a camera."""

    def __init__(self, grouping: Grouping) -> None:
        self.confusion = ConfusionMatrix(grouping)
        self.labelled = 0
        self.problem = ""
        self._last: dict[str, Array] = {}

    def take(self, camera: str, mask: Array, confidence: Array, label: Array | None) -> dict[str, Any]:
        """The frame's row: ``miou``, ``pixel_accuracy``, ``flicker`` (share of pixels of another class than in the
        camera's frame before), ``mean_confidence``; None where there is nothing to compare with."""
        row: dict[str, Any] = {"miou": None, "pixel_accuracy": None, "flicker": None}
        if label is not None:
            frame = ConfusionMatrix(self.confusion.grouping)
            frame.update(label, mask)
            self.confusion.matrix += frame.matrix
            self.labelled += 1
            row["miou"], row["pixel_accuracy"] = finite(frame.mean_iou()), finite(frame.pixel_accuracy())
        last = self._last.get(camera)
        if last is not None and last.shape == mask.shape:
            row["flicker"] = float((last != mask).mean())
        self._last[camera] = mask
        row["mean_confidence"] = float(confidence.mean() / 255)
        return row


def label_of(path: Path | None, mask: Array) -> Array | None:
    """Train ids, H×W uint8, of a file of Cityscapes label ids. Raises SourceError if it can't be read or is of another
    size than its mask."""
    if path is None:
        return None
    try:
        label = ID_TO_TRAIN_ID[read_label(path)]
    except ValueError as error:
        raise SourceError(str(error)) from error
    if label.shape != mask.shape:
        raise SourceError(f"{path}: {label.shape[1]}×{label.shape[0]}, its image is {mask.shape[1]}×{mask.shape[0]}")
    return np.asarray(label, np.uint8)


def finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None

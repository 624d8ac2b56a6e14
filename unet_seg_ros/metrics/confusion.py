"""Confusion matrix, IoU and pixel accuracy, as cityscapesScripts' ``evalPixelLevelSemanticLabeling`` defines them.

The counts of all frames are summed before a ratio is taken. So the IoU of a drive is not the mean of its frames' IoUs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID, Grouping


def ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> NDArray[np.float64]:
    """``parts`` / ``wholes``; NaN where a whole is 0."""
    return np.asarray(np.divide(parts, wholes, out=np.full(len(wholes), np.nan), where=wholes > 0))


def mean_known(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


class ConfusionMatrix:
    """Pixel counts ``matrix[label, prediction]``, int64[n, n + 1], for the ``n`` classes of a grouping.

    The last column counts labelled pixels that were predicted void; they count as wrong. Pixels whose label is void
    are ignored.
    """

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping
        self.matrix = np.zeros((len(grouping.names), len(grouping.names) + 1), np.int64)

    def update(self, label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Add one frame: train ids of label and prediction, both H×W uint8.

        Raises ValueError if their sizes differ.
        """
        if label.shape != prediction.shape:
            raise ValueError(f"the label is {label.shape} (height, width), the prediction {prediction.shape}")
        n, table = len(self.grouping.names), self.grouping.table
        label, prediction = table[label], table[prediction]
        known = label != VOID
        index = label[known].astype(np.int64) * (n + 1) + np.minimum(prediction[known], n)
        self.matrix += np.bincount(index, minlength=n * (n + 1)).reshape(n, n + 1)

    def __iadd__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Add the counts of other frames. Raises ValueError if the grouping differs."""
        if self.grouping != other.grouping:
            raise ValueError(f"counts of {other.grouping.name} cannot be added to counts of {self.grouping.name}")
        self.matrix += other.matrix
        return self

    def overlaps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Intersection and union of each class in pixels, both int64[n]."""
        both = np.diag(self.matrix)
        return both, self.matrix.sum(axis=1) + self.matrix[:, :-1].sum(axis=0) - both

    def iou(self) -> NDArray[np.float64]:
        """IoU of each class, TP / (TP + FP + FN), 0..1; NaN for a class that is neither in labels nor in
        predictions."""
        return ratios(*self.overlaps())

    def mean_iou(self) -> float:
        """Mean of the IoUs that are not NaN; NaN if all are."""
        return mean_known(self.iou())

    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that were predicted right, 0..1; NaN if there are none."""
        total = self.matrix.sum()
        return float(np.trace(self.matrix) / total) if total else float("nan")

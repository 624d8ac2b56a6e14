"""Confusion matrix, IoU and pixel accuracy, as cityscapesScripts' ``evalPixelLevelSemanticLabeling`` defines them.

The counts of all frames are summed before a ratio is taken. So the IoU of a drive is not the mean of its frames' IoUs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID, Grouping


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

    def iou(self) -> NDArray[np.float64]:
        """IoU of each class, TP / (TP + FP + FN), 0..1; NaN for a class that is neither in labels nor in
        predictions."""
        true_positive = np.diag(self.matrix).astype(np.float64)
        union = self.matrix.sum(axis=1) + self.matrix[:, :-1].sum(axis=0) - true_positive
        iou = np.full(len(union), np.nan)
        np.divide(true_positive, union, out=iou, where=union > 0)
        return iou

    def mean_iou(self) -> float:
        """Mean of the IoUs that are not NaN; NaN if all are."""
        iou = self.iou()
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that were predicted right, 0..1; NaN if there are none."""
        total = self.matrix.sum()
        return float(np.trace(self.matrix) / total) if total else float("nan")

"""Boundary IoU (Cheng et al. 2021, arXiv:2103.16562), for each class: the IoU of only those pixels that are near an
outline."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID, Grouping
from unet_seg_ros.metrics.confusion import mean_known, ratios

Mask = NDArray[np.uint8]


def band(mask: Mask, distance: int) -> NDArray[np.bool_]:
    """The pixels of a mask (H×W uint8, 0 or 1) that are at most ``distance`` steps (in 8 directions) from a 0.

    Everything beyond the image's border counts as 0, as in the authors' code.
    """
    square = np.ones((3, 3), np.uint8)
    inner = cv2.erode(mask, square, iterations=distance, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    within: NDArray[np.bool_] = mask != inner
    return within


class BoundaryIoU:
    """Pixel counts for each class of a grouping, over all frames: ``intersection`` and ``union``, int64[n].

    A band's width is ``dilation_ratio`` times the image's diagonal, at least one pixel. A pixel whose label is void
    belongs to no class, in the label and in the prediction, whatever was predicted there. So a void area has bands
    along it as the image's border has, and a prediction that is right at every labelled pixel has an IoU of 1.
    """

    def __init__(self, grouping: Grouping, dilation_ratio: float = 0.02) -> None:
        self.grouping = grouping
        self.dilation_ratio = dilation_ratio
        self.intersection = np.zeros(len(grouping.names), np.int64)
        self.union = np.zeros(len(grouping.names), np.int64)

    def update(self, label: Mask, prediction: Mask) -> None:
        """Add one frame: train ids of label and prediction, both H×W uint8. Raises ValueError if their sizes differ."""
        if label.shape != prediction.shape:
            raise ValueError(f"the label is {label.shape} (height, width), the prediction {prediction.shape}")
        label, prediction = self.grouping.table[label], self.grouping.table[prediction]
        prediction[label == VOID] = VOID
        distance = max(1, round(self.dilation_ratio * float(np.hypot(*label.shape))))
        for k in np.union1d(label, prediction):
            if k != VOID:
                bands = [band((mask == k).view(np.uint8), distance) for mask in (label, prediction)]
                self.intersection[k] += np.count_nonzero(bands[0] & bands[1])
                self.union[k] += np.count_nonzero(bands[0] | bands[1])

    def __iadd__(self, other: BoundaryIoU) -> BoundaryIoU:
        """Add the counts of other frames. Raises ValueError if the grouping or the dilation ratio differs."""
        if (self.grouping, self.dilation_ratio) != (other.grouping, other.dilation_ratio):
            ours, theirs = (f"{of.grouping.name} at {of.dilation_ratio}" for of in (self, other))
            raise ValueError(f"counts of {theirs} cannot be added to counts of {ours}")
        self.intersection += other.intersection
        self.union += other.union
        return self

    def iou(self) -> NDArray[np.float64]:
        """Boundary IoU of each class, 0..1; NaN for a class that is neither in labels nor in predictions."""
        return ratios(self.intersection, self.union)

    def mean_iou(self) -> float:
        """Mean over the classes that are not NaN; NaN if all are."""
        return mean_known(self.iou())

"""Whether a confidence of 80 % is right in 80 % of the pixels: expected calibration error (Guo et al. 2017,
arXiv:1706.04599)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID, Grouping


class Calibration:
    """Pixel counts ``counts[confidence, right]``, int64[256, 2], over all frames; pixels with a void label are ignored.

    A prediction is right if its class is in the label's group. ``bins`` of equal width divide the confidences 0..1; a
    confidence on the edge between two bins belongs to the upper one.
    """

    def __init__(self, grouping: Grouping, bins: int = 15) -> None:
        self.grouping = grouping
        self.bins = bins
        self.counts = np.zeros((256, 2), np.int64)

    def update(self, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> None:
        """Add one frame, all H×W uint8: train ids of label and prediction, and confidence (0..255 = 0..1).

        Raises ValueError if their sizes differ.
        """
        if not label.shape == prediction.shape == confidence.shape:
            shapes = f"{label.shape} (height, width), {prediction.shape} and {confidence.shape}"
            raise ValueError(f"label, prediction and confidence must have the same size, not {shapes}")
        label, prediction = self.grouping.table[label], self.grouping.table[prediction]
        known = label != VOID
        right = label[known] == prediction[known]
        self.counts += np.bincount(2 * confidence[known].astype(np.int64) + right, minlength=512).reshape(256, 2)

    def __iadd__(self, other: Calibration) -> Calibration:
        """Add the counts of other frames. Raises ValueError if the grouping differs."""
        if self.grouping != other.grouping:
            raise ValueError(f"counts of {other.grouping.name} cannot be added to counts of {self.grouping.name}")
        self.counts += other.counts
        return self

    def reliability(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """For each bin: mean confidence and accuracy (float64[bins], NaN without pixels), and pixels (int64[bins])."""
        levels = np.arange(256)
        of_bin = np.minimum(levels * self.bins // 255, self.bins - 1)
        pixels = np.bincount(of_bin, self.counts.sum(axis=1), self.bins)
        confidence, accuracy = (np.full(self.bins, np.nan) for _ in range(2))
        summed = np.bincount(of_bin, self.counts.sum(axis=1) * levels / 255, self.bins)
        np.divide(summed, pixels, out=confidence, where=pixels > 0)
        np.divide(np.bincount(of_bin, self.counts[:, 1], self.bins), pixels, out=accuracy, where=pixels > 0)
        return confidence, accuracy, pixels.astype(np.int64)

    def ece(self) -> float:
        """Mean difference of confidence and accuracy over the bins, weighted by their pixels, 0..1; NaN without
        pixels."""
        confidence, accuracy, pixels = self.reliability()
        if not pixels.any():
            return float("nan")
        return float(np.nansum(np.abs(confidence - accuracy) * pixels) / pixels.sum())

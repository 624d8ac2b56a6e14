"""Signals of a mask and its confidence image. Only some of the pixels are read."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.health.picture_signals import CELLS, Signals

Array = NDArray[np.uint8]


def mask_cells(mask: Array) -> Array:
    """The class in the middle of each of the ``CELLS``, uint8[60, 80]."""
    return np.asarray(cv2.resize(mask, CELLS, interpolation=cv2.INTER_NEAREST), np.uint8)


def prediction_signals(classes: Array, confidence: Array, reference: float = math.nan) -> Signals:
    """The signals of the classes of a mask's cells, uint8[60, 80], and its confidence image (0..255), uint8[H, W].

    ``confidence``: mean probability of the predicted class, divided by ``reference``, the model's mean confidence on
    its own validation data; if ``reference`` is NaN (unknown), the signal is NaN. ``void``: share of cells without a
    class. ``variety``: the exponential of the entropy of the classes' shares, which is the number of classes if all
    have the same share.
    """
    counts = np.bincount(classes.ravel(), minlength=256)
    shares = [count / classes.size for count in counts[counts > 0].tolist()]
    return {
        "confidence": float(cv2.mean(confidence[::3])[0]) / 255 / reference,
        "void": float(counts[VOID]) / classes.size,
        "variety": math.exp(-sum(share * math.log(share) for share in shares)),
    }

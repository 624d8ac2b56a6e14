"""Signals of a mask and its confidence image. Only the pixels of a grid are read."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.health.picture import CELLS, Signals

Array = NDArray[np.uint8]
GRID = (160, 120)
"""Columns and rows of the pixels that are read."""


def mask_cells(mask: Array) -> Array:
    """The class in the middle of each of the ``CELLS``, uint8[60, 80]."""
    return np.asarray(cv2.resize(mask, CELLS, interpolation=cv2.INTER_NEAREST), np.uint8)


def prediction_signals(mask: Array, confidence: Array, reference: float = math.nan) -> Signals:
    """The signals of a mask (class ids) and its confidence image (0..255 = 0..1), both uint8[H, W].

    ``confidence``: mean probability of the predicted class, divided by ``reference``, the model's mean confidence on
    its own validation data; if ``reference`` is NaN (unknown), the signal is NaN. ``void``: share of pixels without a
    class. ``outline``: share of neighbours on the grid with different classes. ``variety``: the exponential of the
    entropy of the classes' shares, which is the number of classes if all have the same share.
    """
    ids = np.asarray(cv2.resize(mask, GRID, interpolation=cv2.INTER_NEAREST), np.uint8)
    sure = cv2.resize(confidence, GRID, interpolation=cv2.INTER_NEAREST)
    counts = cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()
    shares = [count / ids.size for count in counts[counts > 0].tolist()]
    across, down = np.count_nonzero(ids[:, 1:] != ids[:, :-1]), np.count_nonzero(ids[1:] != ids[:-1])
    return {
        "confidence": float(cv2.mean(sure)[0]) / 255 / reference,
        "void": float(counts[VOID]) / ids.size,
        "outline": (across + down) / (2 * ids.size),
        "variety": math.exp(-sum(share * math.log(share) for share in shares)),
    }

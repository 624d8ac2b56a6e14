"""Maps between a frame's pixels and the network's logits.

Pixel centres lie at half-integers (PyTorch's ``align_corners=False``, OpenCV's ``resize``). A frame of height H is
resized to the working height H' and padded at the bottom to a multiple of the network's stride. The network outputs one
row of logits for every ``ratio`` working rows. The same holds for widths.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def working_size(height: int, width: int, max_pixels: int) -> tuple[int, int]:
    """Working height and width of a frame: its own, or with the same aspect ratio at most ``max_pixels`` pixels."""
    if height * width <= max_pixels:
        return height, width
    # height · sqrt(max_pixels / (height · width)), in whole numbers
    shrunk = math.isqrt(max_pixels * height // width), math.isqrt(max_pixels * width // height)
    return min(max(1, shrunk[0]), max_pixels), min(max(1, shrunk[1]), max_pixels)


class Axis(NamedTuple):
    """Where the pixels along one side of the frame lie between the logits along that side.

    A cell is the space between one logit and the next; the cell after the last logit has size 0. For each pixel:
    ``low`` is the index of the logit before it and of its cell, ``high`` the index of the logit after it, ``weight``
    the weight of ``high``, 0..1. For each cell: ``first`` is its first pixel, ``counts`` the number of its pixels.
    ``step`` is the distance between two pixels, in logits.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: NDArray[np.float32]
    first: NDArray[np.intp]
    counts: NDArray[np.intp]
    step: float


@functools.lru_cache(maxsize=64)
def axis(frame: int, working: int, ratio: float) -> Axis:
    """Where the ``frame`` pixels of one side lie between its logits, which are ``ratio`` working pixels apart.

    ``working`` is the number of the side's working pixels without padding; logits that lie wholly in the padding are
    not used.
    """
    last = math.ceil(working / ratio) - 1
    step = working / (frame * ratio)
    position = ((np.arange(frame) + 0.5) * step - 0.5).clip(0, last)
    low = np.floor(position).astype(np.intp)
    bounds = np.searchsorted(low, np.arange(last + 2))
    weight = (position - low).astype(np.float32)
    return Axis(low, np.minimum(low + 1, last), weight, bounds[:-1], np.diff(bounds), step)

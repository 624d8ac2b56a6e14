"""Between a frame's pixels and the network's logits: working size, and the exact way back.

Pixel centres lie at half-integers (PyTorch's ``align_corners=False``, OpenCV's ``resize``). A frame of height H is
worked on at height H', padded at the bottom to a multiple of the network's stride; the network puts out one row of
logits for every ``ratio`` working rows. Widths likewise.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def working_size(height: int, width: int, max_pixels: int) -> tuple[int, int]:
    """Height and width that a frame is worked on at: its own, or shrunk to at most ``max_pixels``, aspect kept."""
    if height * width <= max_pixels:
        return height, width
    # height · sqrt(max_pixels / (height · width)), in whole numbers
    shrunk = math.isqrt(max_pixels * height // width), math.isqrt(max_pixels * width // height)
    return min(max(1, shrunk[0]), max_pixels), min(max(1, shrunk[1]), max_pixels)


class Axis(NamedTuple):
    """Where the pixels along one side of the frame lie between the side's logits. A cell is the space between a logit
    and the next one (that beyond the last logit has no size).

    For each pixel: ``low``, the logit before it, which is its cell's number, ``high``, the one after it, and the
    ``weight`` of the latter, 0..1. For each cell: its ``first`` pixel and the number of its pixels (``counts``).
    ``step`` is the number of logits from one pixel to the next.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: NDArray[np.float32]
    first: NDArray[np.intp]
    counts: NDArray[np.intp]
    step: float


@functools.lru_cache(maxsize=64)
def axis(frame: int, working: int, ratio: float) -> Axis:
    """Where the ``frame`` pixels of a side fall between logits, ``ratio`` working pixels apart.

    ``working`` counts the side's working pixels without padding: beyond the last logit that they reach, the way is cut.
    """
    last = math.ceil(working / ratio) - 1
    step = working / (frame * ratio)
    position = ((np.arange(frame) + 0.5) * step - 0.5).clip(0, last)
    low = np.floor(position).astype(np.intp)
    bounds = np.searchsorted(low, np.arange(last + 2))
    weight = (position - low).astype(np.float32)
    return Axis(low, np.minimum(low + 1, last), weight, bounds[:-1], np.diff(bounds), step)

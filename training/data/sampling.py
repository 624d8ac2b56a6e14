"""Chooses frames, and the part of a frame that a sample shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_PIXELS = 64
"""A frame shows a set if it has at least so many pixels of it."""


T = TypeVar("T")


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items, evenly spread from the first to the last; all for 0."""
    if not most or most >= len(items):
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


class UniformChoice:
    """Chooses frames so that all sets of classes that occur are chosen equally often.

    ``counts`` is int64[frames, sets]: the pixels of each set in each frame.
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        showing = [np.flatnonzero(column >= MIN_PIXELS) for column in counts.T]
        self.choices = [(k, frames) for k, frames in enumerate(showing) if len(frames)]

    def draw(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """A set and a frame that shows it; None if no frame shows any."""
        if not self.choices:
            return None
        k, frames = self.choices[rng.integers(len(self.choices))]
        return k, int(frames[rng.integers(len(frames))])


def pixel_of(label: NDArray[np.uint8], wanted: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a pixel drawn from those whose label id is ``wanted`` (bool[256]).

    Raises ValueError if there is none.
    """
    chosen = cv2.LUT(label, wanted.view(np.uint8))
    rows = np.flatnonzero(chosen.any(axis=1))
    if not len(rows):
        raise ValueError("no pixel of the label is of a wanted class")
    row = int(rows[rng.integers(len(rows))])
    columns = np.flatnonzero(chosen[row])
    return row, int(columns[rng.integers(len(columns))])


def window_at(
    pixel: Sequence[int], have: Sequence[int], window: Sequence[float], rng: np.random.Generator
) -> list[float]:
    """The position of a window that contains a pixel: in each dimension 0 (start) to 1 (end), for ``crop_at_scale``.

    The pixel is at a random place in the middle three fifths of the window, if the image's border allows that.
    """
    places = []
    for at, length, size in zip(pixel, have, window, strict=True):
        free = length - size
        start = at - size * rng.uniform(0.2, 0.8)
        places.append(float(np.clip(start / free, 0, 1)) if free > 0 else 0.5)
    return places

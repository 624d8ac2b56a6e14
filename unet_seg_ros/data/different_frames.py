"""Chooses frames of a drive that differ from each other, by comparing tiny grey copies."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Key = TypeVar("Key", bound=Hashable)

THUMBNAIL = (24, 16)
"""Width and height of the tiny copies by which frames are compared."""
LEAST_DIFFERENCE = 3.0
"""Frames whose thumbnails differ by fewer grey levels on average count as the same view."""
MAX_CANDIDATES = 20_000
"""Most frames that are compared. Of a longer drive only one of two neighbours is, one of four, and so on."""


def thumbnail(image: Image) -> NDArray[np.float32]:
    """The grey levels of a tiny copy of a frame H×W×3 uint8 RGB, float32[384]; frames are compared by them."""
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.float32).ravel()


class Candidates(Generic[Key]):
    """Thumbnails of frames by their keys. If there are more than ``limit``, only one of each group of neighbours is
    kept: the one of most worth, of equal ones the first."""

    def __init__(self, limit: int = MAX_CANDIDATES) -> None:
        self.seen = 0
        self._limit = limit
        self._step = 1
        self._kept: list[tuple[Key, float, NDArray[np.float32]]] = []

    @property
    def keys(self) -> list[Key]:
        """Of the frames that are compared, in their order."""
        return [key for key, _, _ in self._kept]

    def add(self, key: Key, image: Image, worth: float = 1.0) -> None:
        """Add the next frame, uint8[H, W, 3] RGB; ``worth`` (0 or more) is how much it is to be preferred."""
        if self.seen % self._step == 0:
            self._kept.append((key, worth, thumbnail(image)))
        elif worth > self._kept[-1][1]:
            self._kept[-1] = key, worth, thumbnail(image)
        self.seen += 1
        if len(self._kept) > self._limit:
            pairs = (self._kept[i : i + 2] for i in range(0, len(self._kept), 2))
            self._kept = [max(pair, key=lambda one: one[1]) for pair in pairs]
            self._step *= 2

    def most_different(self, count: int) -> list[Key]:
        """Keys of at most ``count`` frames in their order: the frame of most worth, and then always the one with the
        largest product of its worth and its difference from all chosen ones (greedy k-center, Gonzalez 1985, weighted).

        Fewer are chosen if all others differ by less than ``LEAST_DIFFERENCE`` from a chosen one.
        """
        if not self._kept:
            return []
        thumbnails = np.stack([one for _, _, one in self._kept])
        worth = np.array([worth for _, worth, _ in self._kept])
        chosen, nearest = [int(worth.argmax())], np.full(len(thumbnails), np.inf)
        while len(chosen) < count:
            nearest = np.minimum(nearest, np.abs(thumbnails - thumbnails[chosen[-1]]).mean(axis=1))
            best = int(np.where(nearest < LEAST_DIFFERENCE, -1.0, worth * nearest).argmax())
            if nearest[best] < LEAST_DIFFERENCE:
                break
            chosen.append(best)
        return [self._kept[index][0] for index in sorted(chosen)]

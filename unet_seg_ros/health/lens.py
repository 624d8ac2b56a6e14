"""Signals of what lies on the lens. The scene moves while the car drives, and dirt and ice stay where they are."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.health.picture_signals import Signals

Array = NDArray[np.uint8]
Floats = NDArray[np.float32]

KEPT = 8
"""Number of earlier images that are compared."""
APART = 0.5
"""Least number of seconds between two kept images."""
MOVED = 0.25
"""An image is kept only if a quarter of its cells differ from the last kept one by at least this multiple of the
standard deviation of all cells. So nothing is judged while the car stands."""
UPPER = 0.75
"""Only this upper share of the image is judged, because the car's own bonnet below does not move either."""
FINE = (160, 120)
"""Columns and rows of the image in which fine patterns are measured."""
PATCHES = (10, 6)
"""Columns and rows of the patches of its upper part in which the patterns are compared."""
REACH = 1.5
"""Standard deviation of the Gaussian blur that detail is measured against, in cells or in fine pixels."""
FAINT = 0.15
"""Cells with a smaller share of the usual detail have none."""
DARK = 25
"""Darker cells are not judged: at night they have no detail."""
OFTEN = 2
"""A cell is judged if it was not dark and of a class with detail in at least this number of the kept images."""


class Lens:
    """Compares images of one camera between which the scene has moved. ``unchanging`` are the classes that can have no
    detail for minutes, such as road and sky."""

    def __init__(self, unchanging: Sequence[int] = ()) -> None:
        self._unchanging = np.isin(np.arange(256), list(unchanging))
        self._last: tuple[int, Array] | None = None
        self._details: deque[Array] = deque(maxlen=KEPT)
        self._structures: deque[Floats] = deque(maxlen=KEPT)
        self._judged: deque[NDArray[np.bool_]] = deque(maxlen=KEPT)
        self._found = {"veiled": math.nan, "pattern": math.nan}

    def signals(self, frame: Array, grey: Array, classes: Array, stamp_ns: int) -> Signals:
        """The signals of a frame uint8[H, W, 3], from its cells in grey uint8[60, 80], the cells' classes uint8[60, 80]
        and its stamp in nanoseconds.

        ``veiled``: share of cells in which no kept image has any detail, although the rest of the scene has;
        ``pattern``: share of the fine structure that is the same in all kept images, in the middle patch. Both are NaN
        until ``KEPT`` images are kept.
        """
        upper = grey[: int(UPPER * len(grey))]
        if self._moved(upper, stamp_ns):
            self._last = stamp_ns, upper
            self._keep(frame, upper)
            self._judged.append(~self._unchanging[classes[: len(upper)]] & (upper >= DARK))
            if len(self._judged) == KEPT:
                self._found = {"veiled": self._veiled(), "pattern": _staying(self._structures)}
        return self._found

    def _moved(self, upper: Array, stamp_ns: int) -> bool:
        if self._last is None:
            return True
        last_ns, last = self._last
        if abs(stamp_ns - last_ns) < APART * 1e9:
            return False
        return _upper_quartile(cv2.absdiff(upper, last)) > MOVED * float(cv2.meanStdDev(upper)[1][0, 0])

    def _keep(self, frame: Array, upper: Array) -> None:
        self._details.append(np.asarray(cv2.absdiff(upper, cv2.GaussianBlur(upper, (0, 0), REACH)), np.uint8))
        fine = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), FINE, interpolation=cv2.INTER_AREA)
        fine = fine[: int(UPPER * len(fine))].astype(np.float32)
        self._structures.append(fine - cv2.GaussianBlur(fine, (0, 0), REACH))

    def _veiled(self) -> float:
        most = cv2.blur(np.max(self._details, axis=0).astype(np.float32), (5, 5))
        judged = np.sum(self._judged, axis=0) >= OFTEN
        return float((judged & (most < FAINT * _upper_quartile(most))).mean())


def _upper_quartile(values: NDArray[Any]) -> float:
    place = 3 * values.size // 4
    return float(np.partition(values, place, axis=None)[place])


def _staying(structures: Sequence[Floats]) -> float:
    """The share of the energy of structures float32[H, W] that stays: the mean product of two different ones, divided
    by the mean square. The median of ``PATCHES``."""
    count = len(structures)
    total, squares = np.zeros_like(structures[0]), np.zeros_like(structures[0])
    for structure in structures:
        cv2.accumulate(structure, total)
        cv2.accumulateSquare(structure, squares)
    products = total * total - squares
    staying, all_of_it = (cv2.resize(energy, PATCHES, interpolation=cv2.INTER_AREA) for energy in (products, squares))
    # one grey level of noise, such as that of rounding, counts as moving
    return float(np.median(staying / (count - 1) / (all_of_it + count)))

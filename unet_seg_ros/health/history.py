"""Signals that compare a frame with earlier ones: a frozen image, dirt on the lens, flicker, and stamps that jump."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.health.picture import Signals

Array = NDArray[np.uint8]

KEPT = 8
"""Number of earlier small images that the present one is compared with."""
APART = 0.5
"""Seconds between two kept images."""
SAME = 6
"""A cell counts as unchanged if it differs by less than this number of grey levels."""
SOON = 0.5
"""Flicker is only measured between frames that are at most this many seconds apart. After a longer time a cell of the
same brightness may show another object."""
UPPER = 0.75
"""Dirt is searched for only in this upper share of the image, because the car's own bonnet below does not move
either."""
GAPS = 30
"""The usual gap between stamps is the median of this many gaps."""


class History:
    """Compares one camera's frames over time. ``unchanging`` are the classes that can look the same for minutes, such
    as road and sky."""

    def __init__(self, unchanging: Sequence[int] = ()) -> None:
        self._unchanging = np.isin(np.arange(256), list(unchanging))
        self._kept: deque[tuple[int, Array]] = deque(maxlen=KEPT)
        self._range: tuple[Array, Array] = (np.empty(0, np.uint8), np.empty(0, np.uint8))
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._last: tuple[int, Array, Array, Array] | None = None
        self._changed_ns = 0

    def signals(self, frame: Array, small: Array, classes: Array, stamp_ns: int) -> Signals:
        """The signals of a frame uint8[H, W, 3], from its cells uint8[60, 80, 3], the cells' classes uint8[60, 80] and
        its stamp in nanoseconds.

        ``frozen``: for how many seconds the pixels have been identical; ``stuck``: share of cells that did not change
        since any kept image, although the rest of the image did; ``flicker``: share of the cells with unchanged pixels
        whose class changed since the last frame; ``gap``: time since the last frame as a multiple of the usual time;
        ``backwards``: by how many seconds the stamp is before the last one. A signal is NaN if there is no earlier
        frame to compare with.
        """
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        seen = frame[::8]
        signals = {"stuck": self._stuck(grey, classes, stamp_ns), "flicker": math.nan, "gap": math.nan}
        signals["backwards"] = 0.0
        if self._last is None:
            self._changed_ns = stamp_ns
        else:
            last_ns, last_seen, last_grey, last_classes = self._last
            seconds = (stamp_ns - last_ns) / 1e9
            # the cells first: they are few, and differ in almost every frame
            same = np.array_equal(grey, last_grey) and np.array_equal(seen, last_seen)
            self._changed_ns = self._changed_ns if same else stamp_ns
            if 0 <= seconds <= SOON:
                signals["flicker"] = _flicker(grey, last_grey, classes, last_classes)
            signals |= self._timing(seconds)
        signals["frozen"] = max(0.0, (stamp_ns - self._changed_ns) / 1e9)
        self._last = stamp_ns, seen.copy(), grey, classes
        return signals

    def _timing(self, seconds: float) -> Signals:
        usual = median(self._gaps) if len(self._gaps) >= 5 else math.nan
        if seconds > 0:
            self._gaps.append(seconds)
        return {"gap": seconds / usual if seconds > 0 else math.nan, "backwards": max(0.0, -seconds)}

    def _stuck(self, grey: Array, classes: Array, stamp_ns: int) -> float:
        share = math.nan
        if len(self._kept) == KEPT:
            low, high = self._range
            most = cv2.max(cv2.subtract(grey, low), cv2.subtract(high, grey))[: int(UPPER * len(grey))]
            moving = ~self._unchanging[classes[: len(most)]]
            scene = float(np.median(most))
            share = float((moving & (most < SAME)).mean()) if scene > 3 * SAME else 0.0
        if not self._kept or abs(stamp_ns - self._kept[-1][0]) >= APART * 1e9:
            self._kept.append((stamp_ns, grey))
            pictures = np.stack([kept for _, kept in self._kept])
            self._range = pictures.min(axis=0), pictures.max(axis=0)
        return share


def _flicker(grey: Array, before: Array, classes: Array, classes_before: Array) -> float:
    still = cv2.absdiff(grey, before) < SAME
    cells = np.count_nonzero(still)
    if cells < still.size // 5:
        return math.nan  # almost the whole image has changed
    return float(np.count_nonzero(still & (classes != classes_before)) / cells)

"""Signals that compare a frame with the last one: a frozen image, flicker, and stamps that jump."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.health.picture_signals import Signals

Array = NDArray[np.uint8]

SAME = 6
"""A cell counts as unchanged if it differs by less than this number of grey levels."""
SOON = 0.5
"""Flicker is only measured between frames that are at most this many seconds apart. After a longer time a cell of the
same brightness may show another object."""
GAPS = 30
"""The usual gap between stamps is the median of this many gaps."""


class History:
    """Compares one camera's frames over time."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._last: tuple[int, Array, Array, Array] | None = None
        self._changed_ns = 0

    def signals(self, frame: Array, grey: Array, classes: Array, stamp_ns: int) -> Signals:
        """The signals of a frame uint8[H, W, 3], from its cells in grey uint8[60, 80], the cells' classes uint8[60, 80]
        and its stamp in nanoseconds.

        ``frozen``: for how many seconds the pixels have been identical; ``flicker``: share of the cells with unchanged
        pixels whose class changed since the last frame; ``gap``: time since the last frame as a multiple of the usual
        time; ``backwards``: by how many seconds the stamp is before the last one. A signal is NaN if there is no
        earlier frame to compare with.
        """
        seen = frame[::8]
        signals = {"flicker": math.nan, "gap": math.nan, "backwards": 0.0}
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


def _flicker(grey: Array, before: Array, classes: Array, classes_before: Array) -> float:
    still = cv2.absdiff(grey, before) < SAME
    cells = np.count_nonzero(still)
    if cells < still.size // 5:
        return math.nan  # almost the whole image has changed
    return float(np.count_nonzero(still & (classes != classes_before)) / cells)

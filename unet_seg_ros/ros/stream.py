"""What the stamps of a camera's images say of its stream: its rate, and what never arrived. Imports no ROS."""

from __future__ import annotations

import math
from collections import deque

BREAK_SECONDS = 5.0
"""A longer gap is taken for a camera that was stopped: nothing of it counts as lost."""
FEWEST = 8
"""Gaps between images that an estimate of the rate needs."""
DOUBT = 10
"""After as many gaps in a row that each lack an image, it is the camera that has become slower."""


class Stream:
    """One camera's stream. ``expected_rate`` is the camera's rate in Hz where it is known, 0 = to be estimated.

    The estimate takes the shortest gaps between stamps for the camera's period. Images that are missing are counted
    once a gap of one period has been seen after them, so that a camera that becomes slower loses nothing. A camera of
    which regularly every second image is missing can't be told from one of half its rate.
    """

    def __init__(self, expected_rate: float = 0.0) -> None:
        self._expected = expected_rate
        self._gaps: deque[float] = deque(maxlen=50)
        self._last_ns: int | None = None
        self._missing = 0  # since the last gap of one period
        self._doubts = 0
        self.lost = 0
        """Images that were published and have not arrived."""
        self.backwards = 0
        """Stamps that were before the one before them."""
        self.repeated = 0
        """Stamps in a row that were equal to the one before; 0 once they go on."""

    @property
    def rate(self) -> float:
        """The camera's own rate in Hz, NaN where it is not known (yet)."""
        if self._expected:
            return self._expected
        return 1 / self._period() if len(self._gaps) >= FEWEST else math.nan

    def see(self, stamp_ns: int) -> None:
        """An image has arrived."""
        last, self._last_ns = self._last_ns, stamp_ns
        if last is None:
            return
        gap = (stamp_ns - last) / 1e9
        if gap == 0:
            self.repeated += 1
            return
        self.repeated = 0
        if gap < 0:
            self.backwards += 1
        if gap < 0 or gap > max(BREAK_SECONDS, 10 / self._expected if self._expected else 0.0):
            self._gaps.clear()
            self._missing = self._doubts = 0
            return
        self._gaps.append(gap)
        if self._expected:
            self.lost += _missing(gap, 1 / self._expected)
        elif len(self._gaps) >= FEWEST:
            self._estimate(_missing(gap, self._period()))

    def _estimate(self, missing: int) -> None:
        if not missing:
            self.lost += self._missing
            self._missing = self._doubts = 0
            return
        self._missing += missing
        self._doubts += 1
        if self._doubts == DOUBT:
            recent = list(self._gaps)[-DOUBT:]
            self._gaps.clear()
            self._gaps.extend(recent)
            self._missing = self._doubts = 0

    def _period(self) -> float:
        ordered = sorted(self._gaps)
        short = ordered[len(ordered) // 10]
        alike = [gap for gap in ordered if gap < 1.5 * short]
        return alike[len(alike) // 2]


def _missing(gap: float, period: float) -> int:
    """Images that a gap lacks; a camera's stamps may jitter by more than half a period."""
    return max(0, int(gap / period + 0.4) - 1)

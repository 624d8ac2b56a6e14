"""What the stamps of a camera's images say of its stream: its rate, and what never arrived. Imports no ROS."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

BREAK_SECONDS = 5.0
"""A longer gap is taken for a camera that was stopped: nothing of it counts as lost."""
FEWEST = 8
"""Gaps between images that an estimate of the rate needs."""
DOUBT = 30
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
        self._period = 0.0  # estimated, in seconds; 0 = not known
        self._seen = 0  # gaps since the estimate
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
        return 1 / self._period if self._period else math.nan

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
            self._forget()
        elif self._expected:
            self.lost += _missing(gap, 1 / self._expected)
        else:
            self._estimate(gap)

    def _forget(self, keep: int = 0) -> None:
        """Begin again with the last ``keep`` gaps."""
        recent = list(self._gaps)[len(self._gaps) - keep :]
        self._gaps.clear()
        self._gaps.extend(recent)
        self._period, self._seen = 0.0, 0
        self._missing = self._doubts = 0

    def _estimate(self, gap: float) -> None:
        self._gaps.append(gap)
        self._seen += 1
        if len(self._gaps) >= FEWEST and (not self._period or self._seen >= FEWEST):
            self._period, self._seen = _period(self._gaps), 0
        missing = _missing(gap, self._period) if self._period else 0
        if not missing:
            self.lost += self._missing
            self._missing = self._doubts = 0
            return
        self._missing += missing
        self._doubts += 1
        if self._doubts == DOUBT:
            self._forget(keep=DOUBT)


def _period(gaps: Sequence[float]) -> float:
    """The mean of the gaps that lack nothing: those around the shortest ones, outliers left aside."""
    ordered = sorted(gaps)
    period = ordered[len(ordered) // 10]
    for _ in range(3):
        whole = [gap for gap in ordered if gap < 1.5 * period]
        period = sum(whole) / len(whole)
    return period


def _missing(gap: float, period: float) -> int:
    """Images that a gap lacks; a camera's stamps may jitter by more than half a period."""
    return max(0, int(gap / period + 0.4) - 1)

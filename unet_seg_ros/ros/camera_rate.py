"""Estimates a camera's rate and its lost images from the images' stamps. Imports no ROS."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

BREAK_SECONDS = 5.0
"""A longer gap means that the camera was stopped; no image in it counts as lost."""
FEWEST = 8
"""Fewest gaps between images for an estimate of the rate."""
SHORTEST = 1e-3
"""Seconds of the shortest period that a camera can have."""
DOUBT = 30
"""After this many gaps in a row that are longer than one period, the camera is considered slower."""


class Stream:
    """One camera's stream. ``expected_rate`` is the camera's rate in Hz; 0: it is estimated.

    The shortest gaps between stamps that are alike are assumed to be the camera's period. Missing images count as lost
    once a gap of one period follows, so that a camera that becomes slower loses nothing. A camera that regularly loses
    every second image looks the same as a camera of half the rate.
    """

    def __init__(self, expected_rate: float = 0.0) -> None:
        self._expected = expected_rate
        self._gaps: deque[float] = deque(maxlen=50)
        self._last_ns: int | None = None
        self._period = 0.0  # estimated, in seconds; 0 = not known
        self._seen = 0  # gaps since the estimate
        self._missing = 0  # images missing since the last gap of one period
        self._doubts = 0
        self.lost = 0
        """Number of images that were published but have not arrived."""
        self.backwards = 0
        """Number of stamps that were earlier than the previous one."""
        self.repeated = 0
        """Number of stamps in a row that were equal to the previous one; 0 after a different one."""

    @property
    def rate(self) -> float:
        """The camera's own rate in Hz; NaN if it is not known (yet)."""
        if self._expected:
            return self._expected
        return 1 / self._period if self._period else math.nan

    def see(self, stamp_ns: int) -> None:
        """Count an image that has arrived; ``stamp_ns`` is its stamp in nanoseconds."""
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
            self.lost += max(0, _missing(gap, 1 / self._expected))
        else:
            self._estimate(gap)

    def pause(self) -> None:
        """Nobody listens until the next image; none before it counts as lost."""
        self._last_ns = None
        self._missing = self._doubts = self.repeated = 0

    def _forget(self, keep: int = 0) -> None:
        """Start a new estimate with the last ``keep`` gaps."""
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
        if missing <= 0:
            self.lost += max(0, self._missing + missing)
            self._missing = self._doubts = 0
            return
        self._missing += missing
        self._doubts += 1
        if self._doubts == DOUBT:
            self._forget(keep=DOUBT)


def _period(gaps: Sequence[float]) -> float:
    """The mean of the gaps without a missing image: those near the shortest ones, without outliers.

    Single gaps that are far shorter are none: two images of a driver that was late have almost the same stamp."""
    ordered = sorted(gaps)
    alike = (bisect_left(ordered, 1.5 * gap) - place for place, gap in enumerate(ordered))
    fewest = max(2, len(ordered) // 8)
    begin = next((place for place, number in enumerate(alike) if number >= fewest), len(ordered) // 2)
    period = ordered[max(begin, len(ordered) // 10)]
    for _ in range(3):
        whole = [gap for gap in ordered[begin:] if gap < 1.5 * period]
        period = sum(whole) / len(whole)
    return max(period, SHORTEST)


def _missing(gap: float, period: float) -> int:
    """Number of images missing in a gap. Up to 1.6 periods none is missing, since stamps jitter; below 0.6 it is -1,
    because the image before was late."""
    return int(gap / period + 0.4) - 1

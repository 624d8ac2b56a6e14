"""Limits the number of frames per second. Imports no ROS."""

from __future__ import annotations


class Throttle:
    """Passes at most ``rate`` frames per second on average (0: all), and at most two at once.

    Each frame is passed or skipped when it arrives; none waits.
    """

    def __init__(self, rate: float) -> None:
        self._period = 1 / rate if rate > 0 else 0.0
        self._due = float("-inf")

    def passes(self, now: float) -> bool:
        """Whether a frame that arrives at ``now`` (seconds of a steady clock) is taken."""
        if now < self._due:
            return False
        self._due = max(self._due + self._period, now)
        return True

"""A bound on how many frames a second are taken. Imports no ROS."""

from __future__ import annotations


class Throttle:
    """Lets at most ``rate`` frames a second pass (0 = all), on average and never more than two at once.

    A frame passes or is skipped the moment that it arrives: nothing waits, so nothing grows old.
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

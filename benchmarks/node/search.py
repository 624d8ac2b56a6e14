"""The highest rate that holds: upwards or downwards until it changes, then halving the interval."""

from __future__ import annotations

from collections.abc import Callable

FACTOR = 1.25
NEAR = 1.05
"""The search ends when a rate that holds and one that does not are this near to each other."""
LOWEST, HIGHEST = 0.5, 240.0
"""Hz: no camera is slower or faster."""


def highest_rate(holds: Callable[[float], bool], first: float) -> float:
    """In Hz; 0 if not even ``LOWEST`` holds. ``first`` is tried first; a rate above one that does not hold is taken not
    to hold either."""
    low, high = 0.0, float("inf")
    rate = min(max(first, LOWEST), HIGHEST)
    while True:
        if holds(rate):
            low = rate
        else:
            high = rate
        if low >= HIGHEST or high <= LOWEST or high <= low * NEAR:
            return low
        if low and high < float("inf"):
            rate = (low * high) ** 0.5
        else:
            rate = min(HIGHEST, low * FACTOR) if low else max(LOWEST, high / FACTOR)

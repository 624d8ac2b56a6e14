"""Searches the highest rate that the node reaches: upwards or downwards until the result changes, then by bisection."""

from __future__ import annotations

from collections.abc import Callable

FACTOR = 1.25
NEAR = 1.05
"""The search ends when the ratio of a rate that is not reached and one that is reached is at most this large."""
LOWEST, HIGHEST = 0.5, 240.0
"""Lowest and highest rate of the search in Hz."""


def highest_rate(holds: Callable[[float], bool], first: float) -> float:
    """The highest rate in Hz; 0 if not even ``LOWEST`` is reached. ``first`` is tried first. It is assumed that no rate
    above one that is not reached can be reached."""
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

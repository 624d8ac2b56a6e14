"""Publishes the drive's time on /clock and tells when each frame is due."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

from rosgraph_msgs.msg import Clock

INTERVAL_NS = 25_000_000
"""Nanoseconds between two messages, the same as in ``ros2 bag play --clock``."""
SECOND = 10**9


class DriveClock:
    """The drive's time, which runs ``factor`` times as fast as at the recording. Nothing is published if somebody else
    publishes /clock, because with two clocks the time would jump."""

    def __init__(self, node: Any, factor: float) -> None:
        self._factor = factor
        self._publisher = None if node.count_publishers("/clock") else node.create_publisher(Clock, "/clock", 1)
        self._told_ns = self._start_ns = self._first_stamp_ns = 0

    def start(self, first_stamp_ns: int) -> None:
        """Start the clock: the first frame, with this stamp, is due now."""
        self._start_ns, self._first_stamp_ns = monotonic_ns(), first_stamp_ns

    def due_ns(self, at_ns: int) -> int:
        """When a frame that was recorded ``at_ns`` after the start is due, by ``time.monotonic_ns``."""
        return self._start_ns + round(at_ns / self._factor)

    def publish(self) -> None:
        """Publish the time, at most once in ``INTERVAL_NS``."""
        now = monotonic_ns()
        if self._publisher and now - self._told_ns >= INTERVAL_NS:
            self._told_ns = now
            time_ns = max(0, self._first_stamp_ns + round((now - self._start_ns) * self._factor))
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, SECOND)
            self._publisher.publish(message)

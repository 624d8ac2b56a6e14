"""The drive's time on /clock, and when each frame is due."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

from rosgraph_msgs.msg import Clock

INTERVAL_NS = 25_000_000
"""Between two messages, as ``ros2 bag play --clock`` has it."""
SECOND = 10**9


class DriveClock:
    """Time goes ``factor`` times as fast as when the drive was recorded. Nothing is published where somebody else
    publishes /clock, since two clocks would make time jump."""

    def __init__(self, node: Any, factor: float) -> None:
        self._factor = factor
        self._publisher = None if node.count_publishers("/clock") else node.create_publisher(Clock, "/clock", 1)
        self._told_ns = self._start_ns = self._first_stamp_ns = 0

    def start(self, first_stamp_ns: int) -> None:
        """The first frame, with this stamp, is due now."""
        self._start_ns, self._first_stamp_ns = monotonic_ns(), first_stamp_ns

    def due_ns(self, at_ns: int) -> int:
        """When what was recorded ``at_ns`` after the beginning is due, by ``time.monotonic_ns``."""
        return self._start_ns + round(at_ns / self._factor)

    def tell(self) -> None:
        """Publish the time, unless that was done just before."""
        now = monotonic_ns()
        if self._publisher and now - self._told_ns >= INTERVAL_NS:
            self._told_ns = now
            time_ns = max(0, self._first_stamp_ns + round((now - self._start_ns) * self._factor))
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, SECOND)
            self._publisher.publish(message)

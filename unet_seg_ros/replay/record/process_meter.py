"""CPU and memory of a process over time."""

from __future__ import annotations

from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

import psutil

INTERVAL = 0.5
"""Seconds between two samples at the start."""
MAX_SAMPLES = 1000
"""At this number, every second sample is dropped and the interval doubles, to bound the memory for long drives."""


class Sample(NamedTuple):
    """``at`` is in seconds since the start of the meter. ``cpu`` is the number of busy cores since the previous sample.
    ``memory`` is the resident memory in bytes."""

    at: float
    cpu: float
    memory: int


class Meter:
    """Samples the process ``pid`` in a thread from construction to ``stop``, or until the process ends."""

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="resources", daemon=True)
        self._thread.start()

    def stop(self) -> list[Sample]:
        """Stop sampling; returns all samples."""
        self._stopped.set()
        self._thread.join()
        return self.samples

    def _run(self) -> None:
        interval, start = INTERVAL, monotonic()
        at, used = 0.0, self._seconds()
        while used is not None and not self._stopped.wait(interval):
            now, seconds = monotonic() - start, self._seconds()
            if seconds is None:
                return
            self.samples.append(Sample(now, (seconds[0] - used[0]) / (now - at), seconds[1]))
            at, used = now, seconds
            if len(self.samples) >= MAX_SAMPLES:
                del self.samples[::2]
                interval *= 2

    def _seconds(self) -> tuple[float, int] | None:
        """CPU seconds so far and bytes of memory; None if the process has ended."""
        try:
            process = psutil.Process(self._pid)
            times = process.cpu_times()
            return times.user + times.system, process.memory_info().rss
        except psutil.Error:
            return None

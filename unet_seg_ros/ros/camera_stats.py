"""Counts of one camera's frames. Imports no ROS.

Rates and silences are measured with a steady clock, so that simulated time and clock changes have no effect.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from threading import Lock
from time import monotonic

import numpy as np

from unet_seg_ros.ros.camera_rate import Stream
from unet_seg_ros.vocabulary import Drop

MOST_LOST = 2**32 - 1
"""Largest number that ClassCoverage can hold."""
WINDOW = 10.0
"""Length in seconds of the window for ratios and percentiles."""


class Rate:
    """Events per second over about the last 5 s."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def tick(self) -> None:
        self._times.append(monotonic())

    def hertz(self) -> float:
        now = monotonic()
        recent = [t for t in list(self._times) if now - t <= 5.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0


class Recent:
    """Counts the events of each kind in the last ``WINDOW`` seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=int(WINDOW) + 1)

    def count(self, kind: str, number: int = 1) -> None:
        second = int(monotonic())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][kind] += number

    def totals(self) -> Counter[str]:
        oldest = monotonic() - WINDOW - 1
        totals: Counter[str] = Counter()
        for second, counts in self._seconds:
            if second >= oldest:
                totals += counts
        return totals


class CameraStats:
    """Each received frame is processed, dropped (``drops`` counts them by reason) or waiting.

    ``expected_rate`` is the camera's own rate in Hz, 0 if it is not known.
    """

    def __init__(self, expected_rate: float = 0.0) -> None:
        self.received = 0
        self.heard = 0
        """Number of images since the node began to listen (again)."""
        self.processed = 0
        self.drops: Counter[Drop] = Counter()
        self.stream = Stream(expected_rate)
        self.number: int | None = None
        """The number that its publisher gave the last image; None where the middleware tells none."""
        self._back_to = 0
        self.recent = Recent()
        self._unreported_drops = 0
        self._reported_lost = 0
        self.ages: deque[tuple[float, float]] = deque(maxlen=1000)
        self.input_rate = Rate()
        self.output_rate = Rate()
        self.last_image: float | None = None
        self.size: tuple[int, int] | None = None
        """Height and width of the last usable image."""
        self._lock = Lock()  # the executor's thread and the worker's thread count

    def listen(self) -> None:
        """Start the measurements over time again, when the node subscribes; the counts are kept."""
        with self._lock:
            self.heard = 0
            self.stream.pause()
            self.number, self._back_to = None, 0
            self.recent, self.last_image = Recent(), None
            self.input_rate, self.output_rate = Rate(), Rate()
            self.ages.clear()

    def count_received(self, stamp_ns: int, number: int | None = None) -> None:
        """``number`` counts the messages of the image's publisher."""
        with self._lock:
            self._see_number(number)
            self.received += 1
            self.heard += 1
            self.last_image = monotonic()
            self.input_rate.tick()
            lost, backwards = self.stream.lost, self.stream.backwards
            self.stream.see(stamp_ns)
            self.recent.count("received")
            self.recent.count("lost", self.stream.lost - lost)
            self.recent.count("backwards", self.stream.backwards - backwards)

    def _see_number(self, number: int | None) -> None:
        """Count a change to another publisher. Each publisher numbers its images from 1. A number that does not grow
        comes from another publisher or from one that was started again. A restarted one begins below the numbers that
        were reached before; the images of several publishers come back to a higher number each time."""
        if number is not None and self.number is not None and number <= self.number:
            self.recent.count("alternating", number > self._back_to)
            self._back_to = number
        self.number = number

    def count_drop(self, reason: Drop) -> None:
        with self._lock:
            self.drops[reason] += 1
            self._unreported_drops += 1
            self.recent.count(reason if reason in (Drop.MALFORMED, Drop.SKIPPED) else "dropped")

    def take_drops(self) -> int:
        """Frames dropped since the last call."""
        with self._lock:
            dropped, self._unreported_drops = self._unreported_drops, 0
            return dropped

    def take_lost(self) -> int:
        """Frames since the last call that were lost before they reached the node."""
        with self._lock:
            lost, self._reported_lost = self.stream.lost - self._reported_lost, self.stream.lost
            return min(lost, MOST_LOST)

    def count_processed(self, age: float) -> None:
        """``age`` is in seconds at publishing."""
        with self._lock:
            self.processed += 1
            self.ages.append((monotonic(), age))
            self.output_rate.tick()
            self.recent.count("processed")

    def totals(self) -> Counter[str]:
        """Numbers of frames in the last ``WINDOW`` seconds, by what happened to them."""
        with self._lock:
            return self.recent.totals()

    def age_p95(self) -> float:
        """95th percentile in seconds of the ages in the last ``WINDOW`` seconds; NaN if there are none."""
        oldest = monotonic() - WINDOW
        ages = [age for time, age in list(self.ages) if time >= oldest]
        return float(np.percentile(ages, 95)) if ages else math.nan

"""What happened to each camera's frames and how the engine does, as diagnostic_msgs/DiagnosticStatus.

Rates and silences are taken from a steady clock: under simulated time, or when a clock is set, a camera is not silent.
"""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

SILENCE = 2.0
"""Seconds without an image after which a camera is reported."""


class Rate:
    """Events per second over the last 5 s or so."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def tick(self) -> None:
        self._times.append(monotonic())

    def hertz(self) -> float:
        now = monotonic()
        recent = [t for t in list(self._times) if now - t <= 5.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0


class CameraStats:
    """Counts of one camera's frames: each that was received is processed, dropped (``drops`` by reason) or waiting."""

    def __init__(self) -> None:
        self.received = 0
        self.processed = 0
        self.drops: Counter[str] = Counter()
        self._unreported_drops = 0
        self.age = float("nan")
        self.input_rate = Rate()
        self.output_rate = Rate()
        self.last_image = monotonic()
        self._malformed_reported = 0
        self._lock = Lock()  # the executor's thread and the worker count

    def count_received(self) -> None:
        with self._lock:
            self.received += 1
            self.last_image = monotonic()
            self.input_rate.tick()

    def count_drop(self, reason: str) -> None:
        with self._lock:
            self.drops[reason] += 1
            self._unreported_drops += 1

    def take_drops(self) -> int:
        """Frames dropped since the last call."""
        with self._lock:
            dropped, self._unreported_drops = self._unreported_drops, 0
            return dropped

    def count_processed(self, age: float) -> None:
        """``age`` is in seconds at publishing."""
        with self._lock:
            self.processed += 1
            self.age = age
            self.output_rate.tick()

    def status(self, name: str, topic: str, publishers: int, active: bool) -> DiagnosticStatus:
        """``publishers`` are those matched on ``topic``."""
        with self._lock:
            return self._status(name, topic, publishers, active)

    def _status(self, name: str, topic: str, publishers: int, active: bool) -> DiagnosticStatus:
        silent = monotonic() - self.last_image
        level, message = DiagnosticStatus.OK, "receiving images" if active else "not active"
        malformed = self.drops["malformed"]
        if active and silent > SILENCE and publishers:
            level = DiagnosticStatus.WARN
            message = (
                f"{publishers} publishers on {topic}, but no image for {silent:.0f} s: big images of a publisher "
                "without the shared-memory profile only reach a RELIABLE subscription, see input_reliability"
            )
        elif active and silent > SILENCE:
            level, message = DiagnosticStatus.WARN, f"nobody publishes {topic}"
        elif malformed > self._malformed_reported:
            level, message = DiagnosticStatus.WARN, f"malformed images on {topic}"
        self._malformed_reported = malformed
        return _status(
            level,
            name,
            message,
            {
                "topic": topic,
                "publishers": publishers,
                "received": self.received,
                "processed": self.processed,
                "dropped": sum(self.drops.values()),
                **{f"dropped: {reason}": count for reason, count in sorted(self.drops.items())},
                "malformed": malformed,
                "input rate (Hz)": f"{self.input_rate.hertz():.2f}",
                "output rate (Hz)": f"{self.output_rate.hertz():.2f}",
                "age at publishing (s)": f"{self.age:.3f}",
                "seconds without an image": f"{silent:.2f}",
            },
        )


class EngineStats:
    """How long the last frames took, from pixels to mask."""

    def __init__(self) -> None:
        self.milliseconds: deque[float] = deque(maxlen=200)
        self.lost = ""

    def status(self, name: str, facts: dict[str, Any]) -> DiagnosticStatus:
        """``facts`` are the device, precision, model and terms, empty while not configured."""
        level, message = (DiagnosticStatus.OK, "ready") if facts else (DiagnosticStatus.OK, "not configured")
        if self.lost:
            level, message = DiagnosticStatus.ERROR, f"device lost: {self.lost}"
        p50, p95 = np.percentile(list(self.milliseconds) or [float("nan")], [50, 95])
        return _status(level, name, message, {**facts, "p50 (ms)": f"{p50:.1f}", "p95 (ms)": f"{p95:.1f}"})


def _status(level: bytes, name: str, message: str, values: dict[str, Any]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id="", values=pairs)

"""Runs an engine in its own process, so that engines do not share threads, memory or settings.

The process imports this module, which loads no library of an engine. So an engine can set environment variables before
its library is loaded.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines import Frame, Segment, made
from unet_seg_ros.model.bundle import load_bundle
from unet_seg_ros.segmenter import Timings
from unet_seg_ros.text import one_line

PROCESSES = multiprocessing.get_context("spawn")
WARM = 10
"""Number of first frames that are not counted."""
REASON = 160
"""Largest number of characters of the reason why an engine cannot run."""
AGREEMENT = 0.97
"""Smallest share of the pixels on which an engine's masks must agree with the reference; else its times do not count.
A wrong engine agrees on a much smaller share. The loss by int8 is checked on real frames by ``training.quantize``."""
Figures = dict[str, float]
T = TypeVar("T")


class Pace(NamedTuple):
    """Frames at ``rate`` in Hz (0: back to back) for ``seconds``; ``together`` frames at the same time, one for each
    camera."""

    rate: float
    seconds: float
    together: int = 1


class CannotRun(Exception):
    """An engine cannot run. The text is the reason in one line."""


class EngineProcess:
    """The engine ``name`` (see ``benchmarks.engines``) in its own process. It must be closed after use."""

    def __init__(self, name: str, bundle: Path) -> None:
        self.name = name
        self._bundle = bundle
        self._process = ProcessPoolExecutor(1, PROCESSES)

    def masks(self, frames: Sequence[Frame]) -> list[NDArray[np.uint8]]:
        """The masks of frames uint8[H, W, 3]. Raises CannotRun."""
        return self._answer(self._process.submit(_masks, self.name, self._bundle, frames))

    def measure(self, frames: Sequence[Frame], pace: Pace) -> Figures:
        """Milliseconds from the arrival of a frame to its mask: ``p50``, ``p95``, ``p99``, ``max``; medians of the
        stages; CPU time and page faults for each frame. Frames that arrive while the network works are dropped except
        the newest. Raises CannotRun."""
        return self._answer(self._process.submit(_measure, self.name, self._bundle, frames, pace))

    def _answer(self, asked: Future[T | str]) -> T:
        try:
            answer = asked.result()
        except BrokenProcessPool as error:
            raise CannotRun("the process of the engine ended unexpectedly") from error
        if isinstance(answer, str):
            raise CannotRun(answer)
        return answer

    def close(self) -> None:
        self._process.shutdown(cancel_futures=True)


def agreement(masks: Sequence[NDArray[np.uint8]], expected: Sequence[NDArray[np.uint8]]) -> float:
    """The share of pixels with the same class."""
    return float(np.mean([np.mean(mask == other) for mask, other in zip(masks, expected, strict=True)]))


# ---- in the engine's process

_segments: dict[str, Segment] = {}


def _segment(name: str, bundle: Path) -> Segment:
    if name not in _segments:
        _segments[name] = made(name, load_bundle(bundle))
    return _segments[name]


def _masks(name: str, bundle: Path, frames: Sequence[Frame]) -> list[NDArray[np.uint8]] | str:
    try:
        segment = _segment(name, bundle)
        return [segment([frame])[0].mask for frame in frames]
    except Exception as error:  # the table shows the error of the library
        return one_line(f"{type(error).__name__}: {error}", REASON)


def _measure(name: str, bundle: Path, frames: Sequence[Frame], pace: Pace) -> Figures | str:
    try:
        return measured(_segment(name, bundle), frames, pace)
    except Exception as error:
        return one_line(f"{type(error).__name__}: {error}", REASON)


def measured(segment: Segment, frames: Sequence[Frame], pace: Pace) -> Figures:
    """The same as ``EngineProcess.measure``, in this process."""
    batches = [[frames[(place + i) % len(frames)] for i in range(pace.together)] for place in range(len(frames))]
    for number in range(WARM):
        segment(batches[number % len(batches)])
    taken: list[float] = []
    stages: list[Timings] = []
    cpu, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    start = time.perf_counter()
    tick = 0
    while time.perf_counter() - start < pace.seconds:
        came = time.perf_counter()
        if pace.rate:
            tick = max(tick + 1, int((came - start) * pace.rate))  # the newest frame, else the next one
            came = start + tick / pace.rate
            time.sleep(max(0.0, came - time.perf_counter()))
        stages.append(segment(batches[len(taken) % len(batches)])[0].timings)
        taken.append(1000 * (time.perf_counter() - came))
    found = percentiles(taken)
    found |= dict(zip(Timings._fields, (1000 * np.median(stages, axis=0)).tolist(), strict=True))
    count = len(taken) * pace.together
    found["cpu_ms"] = 1000 * (time.process_time() - cpu) / count
    found["page_faults"] = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / count
    return {**found, "frames": count}


def percentiles(values: Sequence[float]) -> Figures:
    """``p50``, ``p95``, ``p99`` and ``max``; NaN if there are no values."""
    p50, p95, p99, most = np.percentile(values, [50, 95, 99, 100]).tolist() if len(values) else [float("nan")] * 4
    return {"p50": p50, "p95": p95, "p99": p99, "max": most}

"""The types of ``report.json``, the same for both modes, and a function that reads such a file.

Times are in seconds, shares, IoUs and confidences 0..1; what was not measured is null. The table beside it,
``frames.csv``, has a row a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from unet_seg_ros.data.yaml_file import parse_json
from unet_seg_ros.files import read_bytes
from unet_seg_ros.metrics.figures import Accuracy, Distribution, Stability
from unet_seg_ros.replay.errors import ReportError

FORMAT = 2


class Frames(TypedDict):
    """Counts of frames. ``received`` is the node's own count, null if the node does not report it. ``dropped`` has a
    count for each reason; their sum is ``sent`` - ``processed``."""

    sent: int
    received: int | None
    processed: int
    dropped: dict[str, int]


class Timing(TypedDict):
    """``latency`` is the time from sending a frame to receiving its mask: only a live replay measures it. ``work`` is
    the sum of the stages of work on a frame: only an offline replay gives it. ``stages`` are by name; ``sent`` and
    ``rate`` are frames per second as sent and as processed; ``jitter`` is the standard deviation of the intervals
    between masks; ``streaming_miou`` compares each label with the newest mask that had arrived by then (None live
    and without labels)."""

    latency: Distribution | None
    work: Distribution | None
    stages: dict[str, Distribution | None]
    sent: float | None
    rate: float | None
    jitter: float | None
    streaming_miou: float | None


class SourceCheck(TypedDict):
    """One camera's stamps as recorded: ``monotonic`` where each is later than the one before; ``backward`` and
    ``repeated`` count those that are not. A gap is more than 1.5 median intervals."""

    topic: str
    frames: int
    seconds: float
    rate: float | None
    monotonic: bool
    backward: int
    repeated: int
    gaps: int
    longest_gap: float | None


class Resources(TypedDict):
    """The process that segments, over time: seconds, cores in use and resident bytes, one list each."""

    at: list[float]
    cpu: list[float]
    memory: list[int]


class Check(TypedDict):
    """One requirement: ``line`` says for people what was required and what was found."""

    require: str
    value: float | None
    passed: bool
    line: str


class Comparison(TypedDict):
    """A metric against the baseline's over the frames that both have; ``low`` and ``high`` are the 95 % interval of the
    difference, by a paired bootstrap over blocks of one second."""

    metric: str
    baseline: float
    value: float
    low: float
    high: float
    worse: bool


class Report(TypedDict):
    """``report.json``. ``made_by`` says what made it: bag, model, settings, versions, machine, each with names and
    values; ``problems`` are what went wrong, a line each; ``bags`` are the reports of several, without their own."""

    format: int
    mode: str
    made_by: dict[str, Any]
    frames: Frames
    timing: Timing
    accuracy: Accuracy | None
    stability: Stability
    source: dict[str, SourceCheck]
    resources: Resources | None
    verdict: list[Check]
    baseline: list[Comparison]
    problems: list[str]
    bags: list[Report]


MAX_REPORT = 2**28
"""Bytes of a report: those of a replay of thousands of drives."""


def read_report(path: Path) -> dict[str, Any]:
    """Read a report. Raises ReportError if it cannot be read or is none."""
    try:
        report = parse_json(read_bytes(path, MAX_REPORT), MAX_REPORT)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ReportError(f"{path}: not a report.json: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ReportError(f"{path}: not a report of a replay in format {FORMAT}")
    return report

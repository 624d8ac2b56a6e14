"""Reports of the node's parts, published on /diagnostics at 1 Hz."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from unet_seg_ros.ros.camera_checks import Situation
from unet_seg_ros.ros.camera_stats import CameraStats
from unet_seg_ros.ros.diagnostic_levels import ERROR, OK
from unet_seg_ros.text import one_line
from unet_seg_ros.vocabulary import DROPPED, ENGINE_TASK, MODEL, PROCESSED, RECEIVED, TOPIC, Drop

if TYPE_CHECKING:  # PyTorch may be missing, which configure reports
    from unet_seg_ros.segmenter import Segmenter

MAX_TEXT = 2000
"""Most characters of a message or a value. The terms of use are the longest."""


@dataclass(frozen=True)
class Report:
    """The state of one part of the node. It becomes a DiagnosticStatus named ``NODE: TASK``. ``level`` is one of the
    levels in ``diagnostic_levels``."""

    task: str
    level: int
    message: str
    values: dict[str, Any] = field(default_factory=dict)
    hardware_id: str = "none"


class DiagnosticsPublisher:
    """Publishes reports under the node's name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self, reports: Iterable[Report]) -> None:
        prefix = self._node.get_fully_qualified_name().lstrip("/")
        message = DiagnosticArray(status=[_status(prefix, report) for report in reports])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


def _status(prefix: str, report: Report) -> DiagnosticStatus:
    pairs = [KeyValue(key=one_line(key), value=one_line(value, MAX_TEXT)) for key, value in report.values.items()]
    return DiagnosticStatus(
        level=bytes([report.level]),
        name=f"{prefix}: {report.task}",
        message=one_line(report.message, MAX_TEXT),
        hardware_id=report.hardware_id,
        values=pairs,
    )


def camera_values(situation: Situation, stats: CameraStats) -> dict[str, Any]:
    """The values of a camera's report."""
    age = stats.ages[-1][1] if stats.ages else math.nan
    values: dict[str, Any] = {
        TOPIC: situation.topic,
        "type": situation.type,
        "reliability": "reliable" if situation.reliable else "best effort",
        "publishers": len(situation.publishers),
        RECEIVED: stats.received,
        PROCESSED: stats.processed,
        "lost": stats.stream.lost,
        "dropped": sum(stats.drops.values()),
        **{f"{DROPPED}{reason}": count for reason, count in sorted(stats.drops.items())},
        "malformed": stats.drops[Drop.MALFORMED],
        "stamps backwards": stats.stream.backwards,
        "camera rate (Hz)": _known(stats.stream.rate, "{:.2f}"),
        "input rate (Hz)": f"{stats.input_rate.hertz():.2f}",
        "output rate (Hz)": f"{stats.output_rate.hertz():.2f}",
        "age at publishing (s)": _known(age, "{:.3f}"),
        "age at publishing, p95 (s)": _known(stats.age_p95(), "{:.3f}"),
        "seconds without an image": f"{situation.silent:.2f}",
    }
    return {key: value for key, value in values.items() if value is not None}


def _known(value: float, form: str) -> str | None:
    return None if math.isnan(value) else form.format(value)


class EngineStats:
    """How many milliseconds the last frames took from pixels to mask."""

    def __init__(self) -> None:
        self.milliseconds: deque[float] = deque(maxlen=200)

    def report(self, segmenter: Segmenter, problem: str) -> Report:
        """``problem`` says why the engine cannot be used; it is empty if nothing is wrong."""
        engine = segmenter.engine
        values: dict[str, Any] = {"device": engine.device, "precision": engine.precision, MODEL: segmenter.model_id}
        values["terms"] = segmenter.manifest.data_terms
        took = list(self.milliseconds)
        if took:
            p50, p95 = np.percentile(took, [50, 95])
            values |= {"p50 (ms)": f"{p50:.1f}", "p95 (ms)": f"{p95:.1f}"}
        return Report(ENGINE_TASK, ERROR if problem else OK, problem or "ready", values, engine.device)

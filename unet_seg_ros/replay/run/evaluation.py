"""Sums up a replay, frame by frame, and makes its report. Offline and live replays and several drives all use it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from unet_seg_ros.data.labels import CLASS_NAMES, palette
from unet_seg_ros.health.trust import Health
from unet_seg_ros.metrics.figures import accuracy, distribution, stability, streaming_miou
from unet_seg_ros.metrics.scorer import Array, Score
from unet_seg_ros.metrics.streaming import Moment
from unet_seg_ros.replay import trust_figures
from unet_seg_ros.replay.errors import Problems
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.process_meter import Sample
from unet_seg_ros.replay.report.gallery import Gallery, Shot
from unet_seg_ros.replay.result import FrameId, Result, Table
from unet_seg_ros.replay.schema import FORMAT, Frames, MadeBy, Report, SourceCheck
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.source.stamp_check import Stamps
from unet_seg_ros.vocabulary import STAGES


class Speed(NamedTuple):
    """Frames per second as sent and as processed, and the standard deviation in s of the intervals between masks."""

    sent: float | None = None
    rate: float | None = None
    jitter: float | None = None


class Evaluation:
    """The sums, pictures, table and problems of a replay. ``topics`` are the image topics by camera."""

    def __init__(self, options: Options, topics: Mapping[str, str]) -> None:
        self.class_names: tuple[str, ...] = CLASS_NAMES
        self.model_id = ""
        self.problems = Problems()
        self.gallery = Gallery(palette(), options.grouping.table)
        self.interrupted = False
        self._mode = options.mode
        self._total = "latency" if options.mode == "live" else "work"
        self._topics = topics
        self._score = Score(options.grouping, options.regions)
        self._table = Table()
        self._stamps = Stamps()
        self._source: dict[str, SourceCheck] = {}
        self._bags: list[Report] = []

    @classmethod
    def of_drive(cls, drive: Drive, options: Options) -> Evaluation:
        """An empty evaluation of a drive. It starts with the drive's own problems."""
        evaluation = cls(options, {camera: drive.topic(camera) for camera in drive.cameras})
        for text in drive.problems:
            evaluation.problems.add(text, text)
        return evaluation

    def look(
        self, shot: Shot, shares: Sequence[float], other: Array | None = None, moment: Moment | None = None
    ) -> dict[str, Any]:
        """Measure a segmented frame and return its figures by name.

        ``shares`` are the shares of the classes, 0..1. ``other`` is a second model's mask, uint8[H, W]. ``moment`` is
        for the streaming accuracy."""
        if shot.label is not None and self.class_names != CLASS_NAMES:
            self.problems.add(
                "classes", f"{self.model_id}: not compared with labels, because its classes differ from theirs"
            )
            shot = replace(shot, label=None)
        figures = self._score.take(shot.frame.camera, shot.mask, shot.confidence, shot.label, other, moment)
        figures |= {f"coverage.{name}": share for name, share in zip(self.class_names, shares, strict=True)}
        self.gallery.take(shot, *badness(figures))
        return figures

    def miss(self, camera: str, time: float, label: Array | None) -> None:
        """Add a frame without a mask to the streaming accuracy; ``time`` is as in ``Moment``."""
        if self.class_names == CLASS_NAMES:
            self._score.streaming.miss(camera, time, label)

    def add(
        self,
        frame: FrameId,
        seconds: Mapping[str, float | None],
        figures: Mapping[str, Any] | None,
        health: Health | None,
    ) -> None:
        """Add a frame's row. ``seconds`` are those of the stages that are known and of ``latency`` or ``work``;
        ``figures`` are those of ``look``, empty if they are not known and None if the frame was dropped; ``health`` is
        None if it is not known."""
        self._stamps.take(frame.camera, frame.stamp_ns)
        row = {"camera": frame.camera, "topic": self._topics[frame.camera], "index": frame.index}
        row |= {"stamp_ns": frame.stamp_ns, "time": frame.at_ns / 1e9}
        row["status"] = "dropped" if figures is None else "processed"
        row |= {name: math.nan if value is None else value for name, value in seconds.items()}
        row |= trust_figures.columns(health)
        self._table.append(row | dict(figures or {}))

    def merge(self, name: str, result: Result) -> None:
        """Add the result of another drive; ``name`` is the folder of its own report."""
        self._score += result.score
        self._table.extend(result.frames.assign(bag=name))
        self._source |= {f"{name}: {camera}": check for camera, check in result.report["source"].items()}
        for text in result.report["problems"]:
            self.problems.add(f"{name}: {text}", f"{name}: {text}")
        result.report["made_by"]["bag"]["folder"] = name
        self._bags.append(result.report)

    def result(
        self, made_by: MadeBy, counted: Frames, speed: Speed, seconds: float, resources: Sequence[Sample] | None = None
    ) -> Result:
        """The result so far. ``seconds`` is the duration of the replay. ``resources`` are those of the segmenting
        process, None if there are several."""
        frames, score = self._table.frame(), self._score
        figures = {name: distribution(frames[name]) for name in (self._total, *STAGES) if name in frames}
        total = figures.pop(self._total)
        report: Report = {
            "format": FORMAT,
            "mode": self._mode,
            "made_by": made_by,
            "frames": counted,
            "timing": {
                "latency": total if self._mode == "live" else None,
                "work": None if self._mode == "live" else total,
                "stages": figures,
                **speed._asdict(),  # type: ignore[typeddict-item]
                "streaming_miou": streaming_miou(score),
            },
            "accuracy": accuracy(score),
            "stability": stability(score),
            "trust": trust_figures.figures(frames),
            "source": self._source | self._stamps.checks(self._topics),
            "resources": None
            if resources is None
            else {key: [getattr(sample, key) for sample in resources] for key in Sample._fields},  # type: ignore[typeddict-item]
            "verdict": [],
            "baseline": [],
            "problems": self.problems.lines(),
            "bags": self._bags,
        }
        return Result(report, frames, score, seconds, self.class_names, self.gallery.palette, self.interrupted)


def badness(figures: Mapping[str, Any]) -> tuple[float, str]:
    """How bad a frame is, 0..1, and the reason as text: the share of wrong pixels or, without labels, 1 - mean
    confidence."""
    right, sure = figures["pixel_accuracy"], figures["mean_confidence"]
    if math.isnan(right):
        return 1 - sure, f"mean confidence {100 * sure:.1f} %"
    return 1 - right, f"{100 * right:.1f} % of the pixels right"

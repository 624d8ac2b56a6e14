"""Offline: every frame of a drive through the Segmenter, as fast as the machine can."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from unet_seg_ros.data.labels import CLASS_NAMES, VOID, palette
from unet_seg_ros.engine import DeviceLost
from unet_seg_ros.masking import Ignored, masked
from unet_seg_ros.metrics.coverage import Coverage
from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.replay.errors import Problems
from unet_seg_ros.replay.judge.summary import accuracy, distribution, stability
from unet_seg_ros.replay.labels.matcher import Truth, with_labels
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.outputs import OutputRecorder
from unet_seg_ros.replay.record.process_meter import Meter
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.writer import RECORDING, ReplayError, Result, Table
from unet_seg_ros.replay.run.pipeline import Seen, segmented
from unet_seg_ros.replay.run.provenance import made_by, model_file
from unet_seg_ros.replay.schema import FORMAT, Report
from unet_seg_ros.replay.source.drive import Drive, SourceError
from unet_seg_ros.replay.source.stamp_check import Stamps
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.share import DEFAULT_MODEL, shipped_or_path
from unet_seg_ros.vocabulary import WORK_STAGES


class Offline:
    """Takes the frames of a drive one by one and sums up what was seen."""

    def __init__(self, drive: Drive, options: Options) -> None:
        self.drive = drive
        self.options = options
        self.problems = Problems()
        for text in drive.problems:
            self.problems.add(text, text)
        self.truth = Truth(options.labels, drive, self.problems)
        self.segmenter = _loaded(options.model or DEFAULT_MODEL, options)
        self.against = _loaded(options.against, options) if options.against else None
        self.names = self.segmenter.manifest.class_names
        if self.against and self.against.manifest.class_names != self.names:
            raise ValueError(f"against: {self.against.model_id} has other classes than {self.segmenter.model_id}")
        self.ignored = {camera: Ignored(entries, camera) for camera, entries in options.ignore.items()}
        self.score = Score(options.grouping, options.regions)
        self.gallery = Gallery(palette(), options.grouping.table)
        self.table = Table()
        self.stamps = Stamps()
        self.sent = 0
        self.dropped: Counter[str] = Counter()
        self.interrupted = False
        self.seconds = 0.0

    def run(self, recorder: Recorder | None, stopped: Event) -> None:
        """All frames, until the drive ends or ``stopped`` is set."""
        outputs = OutputRecorder(recorder, self.drive, self.segmenter.model_id, palette()) if recorder else None
        self.segmenter.warm_up()
        start = perf_counter()
        frames, whole = segmented(self.drive, self.segmenter, self.against, self.truth), False
        with tqdm(total=self.drive.length or None, unit="frame", desc=self.drive.source.name) as bar:
            try:
                for seen in frames:
                    self._take(seen, outputs)
                    bar.update()
                    if stopped.is_set():
                        self.interrupted = True
                        self.problems.add("interrupted", "interrupted")
                        break
                whole = not self.interrupted
            except (SourceError, DeviceLost) as error:
                self.problems.add("end", str(error))
            finally:
                frames.close()  # type: ignore[attr-defined]
        self.seconds = perf_counter() - start
        self.truth.finish(whole)

    def _take(self, seen: Seen, outputs: OutputRecorder | None) -> None:
        frame = seen.frame
        self.sent += 1
        self.stamps.take(frame.camera, frame.stamp_ns)
        row: dict[str, Any] = {
            "camera": frame.camera,
            "topic": self.drive.topic(frame.camera),
            "index": seen.index,
            "stamp_ns": frame.stamp_ns,
            "time": frame.at_ns / 1e9,
            "status": "dropped" if seen.dropped else "processed",
            "latency": sum(seen.stages.values()) if not seen.dropped else math.nan,
            **{name: seen.stages.get(name, math.nan) for name in WORK_STAGES},
        }
        if frame.note:
            self.problems.add("note", frame.note)
        if seen.says:
            kind = seen.dropped or "against"
            self.problems.add(kind, f"{frame.camera}: frame {seen.index}, stamp {frame.stamp_ns}: {seen.says}")
        if seen.segmentation is None or seen.image is None:
            self.dropped[seen.dropped] += 1
            self.table.append(row)
            if outputs:
                outputs.write_input(frame)
            return
        ignored = self.ignored.get(frame.camera)
        found = masked(seen.segmentation, ignored, self.options.unknown_below)
        label = seen.label
        if label is not None and ignored:
            label = np.where(ignored.pixels(*label.shape), np.uint8(VOID), label)
        if label is not None and self.names != CLASS_NAMES:
            label = None
            self.problems.add("classes", f"{self.segmenter.model_id}: not compared with labels: other classes")
        figures = self.score.take(frame.camera, found.mask, found.confidence, label, seen.other)
        regions = self.options.regions
        coverage: Coverage = outputs.write(frame, seen.image, found, regions) if outputs else found.coverage()
        shares = coverage.regions[0].fraction.tolist()
        figures |= {f"coverage.{name}": share for name, share in zip(self.names, shares, strict=True)}
        self.gallery.take(
            frame.camera,
            frame.at_ns,
            frame.stamp_ns,
            seen.image,
            found.mask,
            found.confidence,
            label,
            *badness(figures),
        )
        self.table.append(row | figures)


def _loaded(model: str, options: Options) -> Segmenter:
    return Segmenter.load(shipped_or_path(model), options.device or "auto", options.threads)


def badness(figures: dict[str, Any]) -> tuple[float, str]:
    """How bad a frame is beside others of its drive, and why, for people: its share of wrong pixels, or its doubts."""
    right, sure = figures["pixel_accuracy"], figures["mean_confidence"]
    if math.isnan(right):
        return 1 - sure, f"mean confidence {100 * sure:.1f} %"
    return 1 - right, f"{100 * right:.1f} % of the pixels right"


def open_drive(source: Path, options: Options) -> Drive:
    """With its labels, if a folder holds them. Raises SourceError."""
    drive = open_source(source, options.rate, options.topics, [topic for _, topic in options.labels.topics])
    return with_labels(drive, options.labels)


def replay_offline(source: Path, output: Path, options: Options) -> tuple[Result, Gallery]:
    """Evaluate the drive; of what it leaves only drive.mcap is written to ``output``. Raises ReplayError, one line."""
    try:
        offline = Offline(open_drive(source, options), options)
        meter = Meter(os.getpid())
        with interruptible() as stopped:
            recording = Recorder(output / RECORDING) if options.record else nullcontext()
            with recording as recorder:
                offline.run(recorder, stopped)
        resources = meter.stop()
        if recorder and recorder.problem:
            offline.problems.add("recording", recorder.problem)
        result = _result(offline)
    except (SourceError, OSError, ValueError) as error:  # a bundle that can't be loaded is a ValueError
        raise ReplayError(str(error)) from error
    result.report["resources"] = {
        "at": [sample.at for sample in resources],
        "cpu": [sample.cpu for sample in resources],
        "memory": [sample.memory for sample in resources],
    }
    return result, offline.gallery


def _result(offline: Offline) -> Result:
    if not offline.sent:
        raise SourceError("; ".join(offline.problems.lines()) or f"{offline.drive.source}: no frames")
    frames, options, score = offline.table.frame(), offline.options, offline.score
    processed = offline.sent - sum(offline.dropped.values())
    model = model_file(options.model, offline.segmenter.model_id)
    model |= {"device": offline.segmenter.engine.device, "precision": offline.segmenter.engine.precision}
    made = made_by(offline.drive, options, model, hashed=not offline.interrupted)
    if offline.against:
        made["against"] = model_file(options.against, offline.against.model_id)
    report: Report = {
        "format": FORMAT,
        "mode": "offline",
        "made_by": made,
        "frames": {
            "sent": offline.sent,
            "received": offline.sent,
            "processed": processed,
            "dropped": dict(offline.dropped),
        },
        "timing": {
            "latency": distribution(frames["latency"]),
            "stages": {name: distribution(frames[name]) for name in WORK_STAGES},
            "sent": None,
            "rate": processed / offline.seconds,
            "jitter": None,
        },
        "accuracy": accuracy(score),
        "stability": stability(score),
        "source": offline.stamps.checks({camera: offline.drive.topic(camera) for camera in offline.drive.cameras}),
        "resources": None,
        "verdict": [],
        "baseline": [],
        "problems": offline.problems.lines(),
        "bags": [],
    }
    return Result(report, frames, score, offline.seconds, offline.names, offline.interrupted)


@contextmanager
def interruptible() -> Iterator[Event]:
    """An event that is set by Ctrl-C, a kill or a closed terminal, so that a frame is not left half counted; a second
    one ends the process as ever. Without effect outside the main thread."""
    stopped = Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup
            signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

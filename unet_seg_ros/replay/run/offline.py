"""Offline replay: segments every frame of a drive in this process, as fast as the machine can."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from unet_seg_ros.data.labels import VOID, palette
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.health.trust import Health, Monitor, unsegmented
from unet_seg_ros.masking import Ignored, masked
from unet_seg_ros.metrics.streaming import Moment
from unet_seg_ros.model.shipped_models import DEFAULT_MODEL, shipped_or_path
from unet_seg_ros.replay.errors import ReplayError, SourceError
from unet_seg_ros.replay.ground_calibration import load_calibration
from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.grids import Grids
from unet_seg_ros.replay.record.outputs import OutputRecorder
from unet_seg_ros.replay.record.process_meter import Meter, Sample
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.report.gallery import Gallery, Shot
from unet_seg_ros.replay.result import RECORDING, FrameId, Result
from unet_seg_ros.replay.run.evaluation import Evaluation, Speed
from unet_seg_ros.replay.run.frames_to_label import Selection, write_selection
from unet_seg_ros.replay.run.interruption import interruptible
from unet_seg_ros.replay.run.open_drive import open_drive
from unet_seg_ros.replay.run.provenance import made_by, model_file
from unet_seg_ros.replay.run.segmented_frames import Seen, segmented
from unet_seg_ros.replay.source.drive import Array, Drive
from unet_seg_ros.segmenter import Segmentation, Segmenter
from unet_seg_ros.text import listed, one_line
from unet_seg_ros.vocabulary import WORK_STAGES


class Offline:
    """One offline replay. Raises ValueError for a model that cannot be used."""

    def __init__(self, drive: Drive, options: Options) -> None:
        self.drive = drive
        self.options = options
        self.evaluation = Evaluation.of_drive(drive, options)
        self.problems = self.evaluation.problems
        self.truth = Truth(options.labels, drive, self.problems)
        self.segmenter = _loaded(options.model or DEFAULT_MODEL, options)
        self.against = _loaded(options.against, options) if options.against else None
        names, model_id = self.segmenter.manifest.class_names, self.segmenter.model_id
        if self.against and self.against.manifest.class_names != names:
            raise ValueError(f"against: {self.against.model_id} must have the same classes as {model_id}")
        self.evaluation.class_names, self.evaluation.model_id = names, model_id
        self.evaluation.gallery.palette = palette(self.segmenter.manifest.palette)
        if strange := options.ignore.keys() - drive.cameras.keys():
            there = f"the drive {drive.source} has {', '.join(drive.cameras)}"
            self.problems.add("ignore", f"ignore: unknown camera {listed(sorted(strange))}; {there}")
        self.ignored = {camera: Ignored(entries, camera) for camera, entries in options.ignore.items()}
        manifest = self.segmenter.manifest
        self.monitors = {camera: Monitor(manifest) for camera in drive.cameras}
        self.selection = Selection(options.select[0]) if options.select else None
        self.grids = None
        if options.calibration:
            settings = load_calibration(options.calibration, list(drive.cameras))
            self.grids = Grids(settings, names, manifest.class_ids, self.problems)
        self.recorder: Recorder | None = None
        self.sent = 0
        self.dropped: Counter[str] = Counter()
        self.seconds = 0.0

    def run(self, recorder: Recorder | None, stopped: Event) -> None:
        """Segment and evaluate the frames until the drive ends or ``stopped`` is set."""
        colors = self.evaluation.gallery.palette
        outputs = OutputRecorder(recorder, self.drive, self.segmenter.model_id, colors) if recorder else None
        self.recorder = recorder
        self.segmenter.warm_up()
        start = perf_counter()
        frames, whole = segmented(self.drive, self.segmenter, self.against, self.truth), False
        with tqdm(total=self.drive.length or None, unit="frame", desc=self.drive.source.name) as bar:
            try:
                for seen in frames:
                    self._take(seen, outputs)
                    bar.update()
                    if stopped.is_set():
                        self.evaluation.interrupted = True
                        self.problems.add("interrupted", "interrupted")
                        break
                whole = not self.evaluation.interrupted
            except (SourceError, DeviceLost) as error:
                self.problems.add("end", str(error))
            finally:
                frames.close()  # type: ignore[attr-defined]
        self.seconds = perf_counter() - start
        self.truth.finish(whole)

    def _take(self, seen: Seen, outputs: OutputRecorder | None) -> None:
        frame = FrameId(seen.frame.camera, seen.index, seen.frame.stamp_ns, seen.frame.at_ns)
        self.sent += 1
        if seen.frame.note:
            self.problems.add("note", seen.frame.note)
        if seen.why:
            kind = seen.dropped or "against"
            self.problems.add(kind, f"{frame.camera}: frame {seen.index}, stamp {frame.stamp_ns}: {seen.why}")
        stages = {name: seen.stages.get(name) for name in WORK_STAGES}
        health = self._health(seen)
        if seen.dropped or seen.segmentation is None or seen.image is None:
            self.dropped[seen.dropped] += 1
            self.evaluation.add(frame, {"work": None, **stages}, None, health)
            if outputs:
                outputs.write_input(seen.frame)
                outputs.write_health(seen.frame, health)
            return
        figures = self._look(frame, seen, health, outputs)
        self.evaluation.add(frame, {"work": sum(seen.stages.values()), **stages}, figures, health)

    def _health(self, seen: Seen) -> Health:
        """The frame's health, as in the node, but without its age, which does not exist offline."""
        if seen.segmentation is None:
            return unsegmented(seen.dropped)
        return self.monitors[seen.frame.camera].look(seen.segmentation, seen.frame.stamp_ns)

    def _look(self, frame: FrameId, seen: Seen, health: Health, outputs: OutputRecorder | None) -> dict[str, Any]:
        """Evaluate a segmented frame. Returns its figures for the table of frames."""
        assert seen.segmentation is not None
        assert seen.image is not None
        ignored, label = self.ignored.get(frame.camera), seen.label
        found = masked(seen.segmentation, ignored, self.options.unknown_below)
        if label is not None and ignored:
            label = np.where(ignored.pixels(*label.shape), np.uint8(VOID), label)
        regions = self.options.regions
        coverage = outputs.write(seen.frame, seen.image, found, health, regions) if outputs else found.coverage()
        beside = self.grids.picture if self.grids else None
        if self.grids:
            self.grids.take(frame.camera, frame.stamp_ns, found.mask, found.confidence, self.recorder)
        shot = Shot(frame, seen.image, found.mask, found.confidence, label, beside, health)
        work, assumed = sum(seen.stages.values()), self.options.assume_latency
        moment = Moment(frame.at_ns / 1e9, work if assumed is None else assumed)
        figures = self.evaluation.look(shot, coverage.regions[0].fraction.tolist(), seen.other, moment)
        if self.selection:
            self.selection.take(seen.index, seen.image, health, figures)
        return figures

    def select(self, frames: pd.DataFrame) -> str:
        """Write the frames that are most worth labelling; ``frames`` is the table of the replay. Returns the problem,
        empty if there was none."""
        if self.selection is None or self.options.select is None:
            return ""
        chosen, folder = self.selection.chosen(), self.options.select[1]
        if not chosen:
            return "select: the drive has no frame that can be labelled"

        def segment(camera: str, image: Array) -> Segmentation:
            found = self.segmenter([image])[0]
            return masked(found, self.ignored.get(camera), self.options.unknown_below)

        try:
            write_selection(folder, chosen, self.drive, frames, segment)
        except (SourceError, OSError, OutOfMemory, DeviceLost) as error:
            return f"select: {folder}: not all frames were written: {error}"
        return ""

    def result(self, resources: list[Sample]) -> Result:
        """The report. Raises SourceError if there were no frames, OSError."""
        if not self.sent:
            raise SourceError("; ".join(self.problems.lines()) or f"{self.drive.source}: the drive has no frames")
        model = model_file(self.options.model, self.segmenter.model_id)
        model |= {"device": self.segmenter.engine.device, "precision": self.segmenter.engine.precision}
        made = made_by(self.drive, self.options, model, hashed=not self.evaluation.interrupted)
        if self.against:
            made["against"] = model_file(self.options.against, self.against.model_id)
        processed = self.sent - self.dropped.total()
        counted = {"sent": self.sent, "received": self.sent, "processed": processed, "dropped": dict(self.dropped)}
        speed = Speed(rate=processed / self.seconds)
        return self.evaluation.result(made, counted, speed, self.seconds, resources)  # type: ignore[arg-type]


def _loaded(model: str, options: Options) -> Segmenter:
    return Segmenter.load(shipped_or_path(model), options.device or "auto", options.threads)


def replay_offline(source: Path, output: Path, options: Options) -> tuple[Result, Gallery]:
    """Evaluate the drive. Only drive.mcap is written to ``output``. Raises ReplayError with a text of one line."""
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
            result = offline.result(resources)
            if not result.interrupted and (problem := offline.select(result.frames)):
                result.report["problems"].append(one_line(problem))
        result.interrupted = stopped.is_set()
        return result, offline.evaluation.gallery
    except (SourceError, OSError, ValueError) as error:  # a bundle that can't be loaded is a ValueError
        raise ReplayError(str(error)) from error

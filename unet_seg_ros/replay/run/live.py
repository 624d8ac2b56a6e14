"""Live: play the drive to the node, look at what was recorded, and sum it up as offline is."""

from __future__ import annotations

import math
from pathlib import Path
from time import perf_counter
from typing import Any

from unet_seg_ros.data.labels import CLASS_NAMES, palette
from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.replay.errors import Problems
from unet_seg_ros.replay.judge.summary import accuracy, distribution, stability
from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.live import timing
from unet_seg_ros.replay.live.node_process import NodeError
from unet_seg_ros.replay.live.playback import Sent
from unet_seg_ros.replay.live.review import Answer, answers
from unet_seg_ros.replay.live.session import Live, play_to_other_node, play_to_own_node
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.process_meter import Sample
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.writer import LOG, RECORDING, ReplayError, Result, Table
from unet_seg_ros.replay.run.offline import badness, open_drive
from unet_seg_ros.replay.run.provenance import made_by, model_file
from unet_seg_ros.replay.schema import FORMAT, Report
from unet_seg_ros.replay.source.drive import Drive, SourceError
from unet_seg_ros.replay.source.stamp_check import Stamps
from unet_seg_ros.vocabulary import MODEL, STAGES, Drop

LIVE = ".live.mcap"


def replay_live(source: Path, output: Path, options: Options) -> tuple[Result, Gallery]:
    """Play the drive; of what it leaves only drive.mcap and node.log are written to ``output``.

    Raises ReplayError where nothing was played.
    """
    start = perf_counter()
    try:
        drive = open_drive(source, options)
        problems = Problems()
        for text in drive.problems:
            problems.add(text, text)
        truth = Truth(options.labels, drive, problems)
        live = _play(drive, output, options)
        if not live.playback.frames:
            raise SourceError(live.playback.problem)
        return _summed(drive, live, output, options, truth, problems, start)
    except (SourceError, NodeError, OSError, ValueError) as error:
        raise ReplayError(str(error)) from error
    finally:
        (output / LIVE).unlink(missing_ok=True)


def _play(drive: Drive, output: Path, options: Options) -> Live:
    if options.node:
        return play_to_other_node(drive, output / LIVE, options.node, options.factor)
    return play_to_own_node(drive, output / LIVE, output / LOG, options.model, options.device, options.factor)


def _summed(
    drive: Drive, live: Live, output: Path, options: Options, truth: Truth, problems: Problems, start: float
) -> tuple[Result, Gallery]:
    """Look through the recording. Raises OSError."""
    gallery = Gallery(palette(), options.grouping.table)
    score = Score(options.grouping, options.regions)
    seen: dict[int, dict[str, Any]] = {}
    names, model = CLASS_NAMES, live.playback.engine.get(MODEL, "")
    for kind, text in (("end", live.playback.problem), ("live recording", live.recording_problem)):
        if text:
            problems.add(kind, text)
    if not live.recording_problem:
        with Recorder(output / RECORDING) as recorder:
            for answer in answers(output / LIVE, drive, live.playback, palette(), recorder):
                names, model = tuple(answer.coverage.class_names), answer.coverage.model
                if names != CLASS_NAMES:
                    problems.add("classes", f"{model}: not compared with labels: other classes")
                seen[answer.sent.index] = _look(answer, score, gallery, truth if names == CLASS_NAMES else None)
        if recorder.problem:
            problems.add("recording", recorder.problem)
        truth.finish(whole=False)  # dropped frames have not asked for theirs
    table, stamps = Table(), Stamps()
    for sent in live.playback.frames:
        stamps.take(sent.camera, sent.stamp_ns)
        if sent.note:
            problems.add("note", sent.note)
        if sent.problem:
            problems.add(Drop.MALFORMED, f"{sent.camera}: frame {sent.index}, stamp {sent.stamp_ns}: {sent.problem}")
        table.append(_row(drive, sent, seen.get(sent.index, {})))
    frames = table.frame()
    played, achieved = live.playback, timing.achieved(live.playback)
    made = made_by(drive, options, {"id": model}, hashed=not played.interrupted)
    if not options.node:
        made["model"] = model_file(options.model, model)
    report: Report = {
        "format": FORMAT,
        "mode": "live",
        "made_by": {**made, "node": played.engine},
        "frames": timing.counted(played),
        "timing": {
            "latency": distribution(frames["latency"]),
            "stages": {name: distribution(frames[name]) for name in STAGES},
            "sent": achieved["sent"],
            "rate": achieved["rate"],
            "jitter": achieved["jitter"],
        },
        "accuracy": accuracy(score),
        "stability": stability(score),
        "source": stamps.checks({camera: drive.topic(camera) for camera in drive.cameras}),
        "resources": {key: [getattr(sample, key) for sample in live.resources] for key in Sample._fields},  # type: ignore[typeddict-item]
        "verdict": [],
        "baseline": [],
        "problems": problems.lines(),
        "bags": [],
    }
    return Result(report, frames, score, perf_counter() - start, names, played.interrupted), gallery


def _look(answer: Answer, score: Score, gallery: Gallery, truth: Truth | None) -> dict[str, Any]:
    """The answered frame's part of its row."""
    sent = answer.sent
    label = truth.label(sent.camera, sent.stamp_ns, sent.label, answer.mask.shape) if truth else None
    figures = score.take(sent.camera, answer.mask, answer.confidence, label)
    shares = answer.coverage.regions[0].fraction.tolist()
    figures |= {f"coverage.{name}": share for name, share in zip(answer.coverage.class_names, shares, strict=True)}
    gallery.take(
        sent.camera,
        sent.at_ns,
        sent.stamp_ns,
        answer.image,
        answer.mask,
        answer.confidence,
        label,
        *badness(figures),
    )
    return figures


def _row(drive: Drive, sent: Sent, seen: dict[str, Any]) -> dict[str, Any]:
    stages = {"latency": sent.latency, **timing.stages(sent)}
    return {
        "camera": sent.camera,
        "topic": drive.topic(sent.camera),
        "index": sent.index,
        "stamp_ns": sent.stamp_ns,
        "time": sent.at_ns / 1e9,
        "status": "processed" if timing.answered(sent) else "dropped",
        **{name: math.nan if seconds is None else seconds for name, seconds in stages.items()},
        **seen,
    }

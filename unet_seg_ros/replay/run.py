"""A live replay from end to end: play the drive to the node, look at what was recorded, write it all down."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS, Grouping, palette
from unet_seg_ros.replay import report_html, timing
from unet_seg_ros.replay.drive import Drive, SourceError
from unet_seg_ros.replay.evaluation import Evaluation, label_of
from unet_seg_ros.replay.gallery import Gallery
from unet_seg_ros.replay.html import write_atomically
from unet_seg_ros.replay.live import Live, play_to_other_node, play_to_own_node
from unet_seg_ros.replay.node_process import NodeError
from unet_seg_ros.replay.playback import Sent
from unet_seg_ros.replay.recorder import Recorder
from unet_seg_ros.replay.resources import Sample
from unet_seg_ros.replay.review import Answer, answers
from unet_seg_ros.replay.sources import open_source
from unet_seg_ros.replay.summary import accuracy, latency
from unet_seg_ros.replay.video import write_video

RECORDING = "drive.mcap"
LIVE = ".live.mcap"
LOG = "node.log"
REPORT = "report.html"
FILES = (RECORDING, LIVE, LOG, REPORT, "report.json", "frames.csv")


class ReplayError(Exception):
    """A replay that can't be done; the text says why in one line, for the node's part with what it said."""


@dataclass(frozen=True)
class Options:
    """As on the command line; ``model`` and ``device`` empty are the node's own, ``node`` empty is one that is started
    for the replay, ``rate`` in Hz is an image folder's, ``factor`` how many times as fast the drive is played."""

    model: str = ""
    device: str = ""
    grouping: str = "cityscapes19"
    rate: float | None = None
    node: str = ""
    factor: float = 1.0


def replay(source: Path, output: Path, options: Options) -> int:
    """Play ``source`` and fill the folder ``output``; the exit status: 0, 2 where the drive ended early because of what
    can be put right, 130 after Ctrl-C. Raises ReplayError where nothing was played."""
    try:
        drive = open_source(source, options.rate)
        clear(output)
        live = _play(drive, output, options)
        if not live.playback.frames:
            raise SourceError(live.playback.problem)
        problems = _report(drive, live, output, GROUPINGS[options.grouping])
    except (SourceError, NodeError, OSError) as error:
        raise ReplayError(str(error)) from error
    finally:
        (output / LIVE).unlink(missing_ok=True)
    return 130 if live.playback.interrupted else 2 if problems else 0


def clear(output: Path) -> None:
    """Make the folder, without what an earlier replay left there. Raises OSError."""
    output.mkdir(parents=True, exist_ok=True)
    for file in [*(output / name for name in FILES), *output.glob("overlay*.webm")]:
        file.unlink(missing_ok=True)


def _play(drive: Drive, output: Path, options: Options) -> Live:
    if options.node:
        return play_to_other_node(drive, output / LIVE, options.node, options.factor)
    return play_to_own_node(drive, output / LIVE, output / LOG, options.model, options.device, options.factor)


def _report(drive: Drive, live: Live, output: Path, grouping: Grouping) -> list[str]:
    """Look through the recording and write everything down; returns what went wrong, a line each. Raises OSError."""
    gallery, evaluation = Gallery(palette(), grouping.table), Evaluation(grouping)
    seen: dict[int, dict[str, Any]] = {}
    names, model = CLASS_NAMES, live.playback.engine.get("model", "")
    problems = [text for text in (live.playback.problem.split("\n")[0], live.recording_problem) if text]
    if not live.recording_problem:
        with Recorder(output / RECORDING) as recorder:
            for answer in answers(output / LIVE, drive, live.playback, palette(), recorder):
                seen[answer.sent.index] = _look(answer, evaluation, gallery)
                names, model = tuple(answer.coverage.class_names), answer.coverage.model
        problems += [text for text in (recorder.problem, evaluation.problem) if text]
    rows = [_row(drive, sent, seen.get(sent.index, {})) for sent in live.playback.frames]
    frames = pd.DataFrame(rows)
    latencies = [sent.latency for sent in live.playback.frames if sent.latency is not None]
    by_stage = {name: latency([row[name] for row in rows if row[name] is not None]) for name in timing.STAGES}
    flickers = [row["flicker"] for row in seen.values() if row["flicker"] is not None]
    comparable = evaluation.labelled and names == CLASS_NAMES
    report: dict[str, Any] = {
        "format": 1,
        "mode": "live",
        "made_by": {"bag": {"path": str(drive.source)}, "model": {"id": model}, "node": live.playback.engine},
        "frames": timing.counted(live.playback),
        "timing": {"latency": latency(latencies), "stages": by_stage, **timing.achieved(live.playback)},
        "accuracy": accuracy(evaluation.confusion, evaluation.labelled) if comparable else None,
        "stability": {
            "flicker": float(np.mean(flickers)) if flickers else None,
            "confidence": float(np.mean([row["mean_confidence"] for row in seen.values()])) if seen else None,
        },
        "source": {},
        "resources": {key: [getattr(sample, key) for sample in live.resources] for key in Sample._fields},
        "verdict": [],
        "problems": problems,
    }
    if report["accuracy"]:
        report["accuracy"]["confusion"] = evaluation.confusion.matrix.tolist()
    write_atomically(output / "report.json", json.dumps(report, indent=2) + "\n")
    frames.to_csv(output / "frames.csv", index=False)
    videos = {}
    for camera, film in gallery.films.items():
        path = output / ("overlay.webm" if len(gallery.films) == 1 else f"overlay_{camera}.webm")
        videos[camera] = path, write_video(path, film)
    embedded = {camera: (path.read_bytes(), speed) for camera, (path, speed) in videos.items()}
    write_atomically(output / REPORT, report_html.render(report, frames, gallery, embedded, grouping, names))
    for problem in problems:
        print(f"replay: {problem}", file=sys.stderr)
    print(f"Look into {output}: {REPORT} first; {RECORDING} opens in Foxglove and RViz.")
    return problems


def _look(answer: Answer, evaluation: Evaluation, gallery: Gallery) -> dict[str, Any]:
    """The answered frame's part of its row."""
    sent = answer.sent
    try:
        label = label_of(sent.label, answer.mask)
    except SourceError as error:
        label, evaluation.problem = None, evaluation.problem or str(error)
    row = evaluation.take(sent.camera, answer.mask, answer.confidence, label)
    shares = answer.coverage.regions[0].fraction.tolist()
    row |= {f"coverage.{name}": share for name, share in zip(answer.coverage.class_names, shares, strict=True)}
    right, sure = row["pixel_accuracy"], row["mean_confidence"]
    score, says = (1 - sure, f"mean confidence {100 * sure:.1f} %")
    if right is not None:
        score, says = 1 - right, f"{100 * right:.1f} % of the pixels right"
    gallery.take(
        sent.camera, sent.at_ns, sent.stamp_ns, answer.image, answer.mask, answer.confidence, label, score, says
    )
    return row


def _row(drive: Drive, sent: Sent, seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "camera": sent.camera,
        "topic": drive.topic(sent.camera),
        "index": sent.index,
        "stamp_ns": sent.stamp_ns,
        "time": sent.at_ns / 1e9,
        "status": "processed" if timing.answered(sent) else "dropped",
        "latency": sent.latency,
        **timing.stages(sent),
        **seen,
    }

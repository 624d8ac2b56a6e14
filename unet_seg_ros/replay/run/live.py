"""Live replay: plays the drive to the node, then evaluates the recording as an offline replay does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from unet_seg_ros.ground.settings import GroundSettings
from unet_seg_ros.metrics.streaming import Moment
from unet_seg_ros.replay.errors import NodeError, ReplayError, SourceError
from unet_seg_ros.replay.ground_calibration import load_calibration
from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.live.frame_counts import answered, counted
from unet_seg_ros.replay.live.latency import achieved, latency, stages
from unet_seg_ros.replay.live.played_drive import Sent
from unet_seg_ros.replay.live.recording_reader import Answer, answers
from unet_seg_ros.replay.live.session import Live, play_to_other_node, play_to_own_node
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.grids import Grids
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.report.gallery import Gallery, Shot
from unet_seg_ros.replay.result import LOG, RECORDING, FrameId, Result
from unet_seg_ros.replay.run.evaluation import Evaluation, Speed
from unet_seg_ros.replay.run.frames_without_mask import FramesWithoutMask
from unet_seg_ros.replay.run.interruption import finishing
from unet_seg_ros.replay.run.open_drive import open_drive
from unet_seg_ros.replay.run.provenance import made_by, model_file
from unet_seg_ros.replay.source.drive import Array, Drive
from unet_seg_ros.vocabulary import MODEL, Drop

LIVE = ".live.mcap"


def replay_live(source: Path, output: Path, options: Options) -> tuple[Result, Gallery]:
    """Play and evaluate the drive. Only drive.mcap and node.log are written to ``output``.

    Raises ReplayError if nothing was played.
    """
    start = perf_counter()
    try:
        drive = open_drive(source, options)
        evaluation = Evaluation.of_drive(drive, options)
        truth = Truth(options.labels, drive, evaluation.problems)
        where = load_calibration(options.calibration, list(drive.cameras)) if options.calibration else None
        live = _play(drive, output, options)
        if not live.played.frames:
            raise SourceError(live.played.problem)
        with finishing(live.played):
            _look_through(drive, live, output, evaluation, truth, where)
            made = made_by(drive, options, {"id": evaluation.model_id}, hashed=not evaluation.interrupted)
            if not options.node:
                made["model"] = model_file(options.model, evaluation.model_id)
            made["node"] = live.played.engine
            speed = Speed(**achieved(live.played))
            result = evaluation.result(made, counted(live.played), speed, perf_counter() - start, live.resources)
        result.interrupted = live.played.interrupted
        return result, evaluation.gallery
    except (SourceError, NodeError, OSError, ValueError) as error:
        raise ReplayError(str(error)) from error
    finally:
        (output / LIVE).unlink(missing_ok=True)


def _play(drive: Drive, output: Path, options: Options) -> Live:
    if options.node:
        return play_to_other_node(drive, output / LIVE, options.node, options.factor)
    return play_to_own_node(drive, output / LIVE, output / LOG, options.model, options.device, options.factor)


def _look_through(
    drive: Drive, live: Live, output: Path, evaluation: Evaluation, truth: Truth, where: GroundSettings | None
) -> None:
    """Evaluate the frames that have masks. Adds overlays to the recording and, if ``where`` holds the cameras'
    positions, grids. Raises OSError, ValueError."""
    played, problems = live.played, evaluation.problems
    evaluation.interrupted, evaluation.model_id = played.interrupted, played.engine.get(MODEL, "")
    evaluation.gallery.palette = played.palette
    for kind, text in (("end", played.problem), ("live recording", live.recording_problem)):
        if text:
            problems.add(kind, text)
    figures: dict[int, dict[str, Any]] = {}
    grids: Grids | None = None
    if not live.recording_problem:
        with Recorder(output / RECORDING) as recorder:
            without_mask = FramesWithoutMask(played.frames, evaluation, truth)
            for answer in answers(output / LIVE, drive, played, recorder):
                without_mask.compare_before(answer)
                sent, names = answer.sent, answer.coverage.class_names
                if where:
                    grids = grids or Grids(where, names, range(len(names)), problems)
                    grids.take(sent.camera, sent.stamp_ns, answer.mask, answer.confidence, recorder)
                figures[sent.index] = _look(answer, evaluation, truth, grids.picture if grids else None)
            without_mask.compare_rest()
        if recorder.problem:
            problems.add("recording", recorder.problem)
        truth.finish(whole=False)  # frames that share a stamp or are damaged have not asked for theirs
    for sent in played.frames:
        if sent.note:
            problems.add("note", sent.note)
        if sent.problem:
            problems.add(Drop.MALFORMED, f"{sent.camera}: frame {sent.index}, stamp {sent.stamp_ns}: {sent.problem}")
        found = figures.get(sent.index, {}) if answered(sent) else None
        evaluation.add(_id(sent), {"latency": latency(sent), **stages(sent)}, found, sent.health)


def _look(
    answer: Answer, evaluation: Evaluation, truth: Truth, beside: Callable[[int], Array] | None
) -> dict[str, Any]:
    """The figures of a frame that has a mask. ``beside`` is as in ``Shot``."""
    sent, coverage = answer.sent, answer.coverage
    evaluation.class_names, evaluation.model_id = tuple(coverage.class_names), coverage.model
    label = truth.label(sent.camera, sent.stamp_ns, sent.label, answer.mask.shape)
    shot = Shot(_id(sent), answer.image, answer.mask, answer.confidence, label, beside, sent.health)
    seconds = latency(sent)
    moment = None if seconds is None else Moment(sent.sent_ns / 1e9, seconds, measured=True)
    return evaluation.look(shot, coverage.regions[0].fraction.tolist(), moment=moment)


def _id(sent: Sent) -> FrameId:
    return FrameId(sent.camera, sent.index, sent.stamp_ns, sent.at_ns)

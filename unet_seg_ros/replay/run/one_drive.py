"""Replays one drive from start to end, offline or live."""

from __future__ import annotations

from pathlib import Path

from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.report.writer import write
from unet_seg_ros.replay.result import Result
from unet_seg_ros.replay.run.interruption import finishing
from unet_seg_ros.replay.run.offline import replay_offline
from unet_seg_ros.replay.run.output_folder import clear


def replay_one(source: Path, output: Path, options: Options, gate: Gate) -> Result:
    """Replay and write the folder ``output``. Raises ReplayError if nothing could be evaluated or written."""
    try:
        clear(output, [source, *gate.files()])
        if options.mode == "offline":
            result, gallery = replay_offline(source, output, options)
        else:
            from unet_seg_ros.replay.run.live import replay_live  # it needs ROS

            result, gallery = replay_live(source, output, options)
        with finishing(result):
            gate.add_verdict(result)
            write(output, result, gallery, options.grouping)
    except OSError as error:
        raise ReplayError(str(error)) from error
    return result

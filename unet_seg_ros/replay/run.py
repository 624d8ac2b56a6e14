"""A replay from end to end: open the drive, play it to the node, look at what was recorded, write it all down."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from unet_seg_ros.labels import GROUPINGS
from unet_seg_ros.replay.drive import Drive, SourceError
from unet_seg_ros.replay.node_process import NodeError, NodeProcess
from unet_seg_ros.replay.playback import Playback
from unet_seg_ros.replay.player import connected, isolate
from unet_seg_ros.replay.plots import plot
from unet_seg_ros.replay.recorder import Recorder
from unet_seg_ros.replay.review import Review, review, sheet, write_sheet
from unet_seg_ros.replay.sources import open_source
from unet_seg_ros.replay.summary import summarize, text
from unet_seg_ros.ros.bringup import bringup

BAG = "drive.mcap"
LOG = "node.log"
FILES = (BAG, LOG, "sheet.png", "coverage.png", "coverage.csv", "summary.json", "summary.txt")


class ReplayError(Exception):
    """A replay that can't be done; the text says why in one line, for the node's part with what it said."""


def replay(source: Path, output: Path, model: str, device: str, grouping: str, rate: float | None) -> None:
    """Play ``source`` and fill the folder ``output``; arguments are as on the command line, empty = the node's own.

    Raises ReplayError.
    """
    try:
        drive = open_source(source, rate)
        _clear(output)
        playback = _play(drive, output, model, device)
        found = review(output / BAG, drive, playback.frames, GROUPINGS[grouping], output)
        _write(drive, playback, found, output)
    except (SourceError, NodeError, OSError) as error:
        raise ReplayError(str(error)) from error


def _clear(output: Path) -> None:
    """Make the folder, without what an earlier replay left there."""
    output.mkdir(parents=True, exist_ok=True)
    for file in [*(output / name for name in FILES), *output.glob("overlay*.webm")]:
        file.unlink(missing_ok=True)


def _play(drive: Drive, output: Path, model: str, device: str) -> Playback:
    cameras = ",".join(f"{name}={topic}" for name, topic in drive.cameras.items())
    try:
        plan = bringup({"cameras": cameras, "transport": drive.transport, "model": model, "device": device})
    except ValueError as error:  # a bag's topic that is no ROS name
        raise SourceError(f"{drive.source}: {error}") from error
    isolate(plan)
    process = NodeProcess(plan, output / LOG)
    try:
        print("starting the node", flush=True)
        with Recorder(output / BAG) as recorder, connected(drive, recorder) as player:
            player.wait_for(process)
            return player.play(process)
    finally:
        process.stop()


def _write(drive: Drive, playback: Playback, found: Review, output: Path) -> None:
    summary = summarize(drive, playback, found)
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (output / "summary.txt").write_text(text(summary), encoding="utf-8")
    pd.DataFrame(found.rows).to_csv(output / "coverage.csv", index=False)
    plot(found, playback.frames, output / "coverage.png")
    pictures = sheet(found)
    if pictures is not None:
        write_sheet(pictures, output / "sheet.png")
    print(f"\n{text(summary)}")
    first = "summary.txt" if pictures is None else "sheet.png"
    print(f"Look into {output}: {first} first, then overlay*.webm; {BAG} opens in Foxglove.")

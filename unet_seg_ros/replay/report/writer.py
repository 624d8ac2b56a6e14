"""What a replay leaves: the report as JSON and HTML, the table of frames, the drive in short as a video."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.files import write_atomically
from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.replay.record.recorder import UNFINISHED
from unet_seg_ros.replay.report import page
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.video import write_video
from unet_seg_ros.replay.schema import Report
from unet_seg_ros.replay.source.bag import is_bag
from unet_seg_ros.replay.source.bag_reader import bag_files

REPORT, FIGURES, TABLE = "report.html", "report.json", "frames.csv"
RECORDING = "drive.mcap"
LOG = "node.log"
FILES = (REPORT, FIGURES, TABLE, RECORDING, LOG)
CHUNK = 1000


class ReplayError(Exception):
    """A replay that can't be done; the text says why in one line, for the node's part with what it said."""


@dataclass
class Result:
    """Of one drive: its report, the table with a row a frame, and the sums that its figures come from; ``seconds`` are
    what it took, ``class_names`` the model's."""

    report: Report
    frames: pd.DataFrame
    score: Score
    seconds: float
    class_names: tuple[str, ...]
    interrupted: bool = False


class Table:
    """Rows that become a DataFrame: of a long drive only columns of numbers are kept."""

    def __init__(self) -> None:
        self._chunks: list[pd.DataFrame] = []
        self._rows: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Add a row; NaN, not None, where a number is missing."""
        self._rows.append(row)
        if len(self._rows) == CHUNK:
            self._pack()

    def frame(self) -> pd.DataFrame:
        """All rows."""
        self._pack()
        return pd.concat(self._chunks, ignore_index=True) if self._chunks else pd.DataFrame()

    def _pack(self) -> None:
        if self._rows:
            self._chunks.append(pd.DataFrame(self._rows))
            self._rows = []


def clear(output: Path, needed: Sequence[Path]) -> None:
    """Make the folder, without what an earlier replay left there.

    Raises OSError, and ReplayError rather than remove one of the files or bags that are ``needed``.
    """
    output.mkdir(parents=True, exist_ok=True)
    old = [path for path in (*(output / name for name in FILES), *output.glob("overlay*.webm")) if path.exists()]
    kept = {path.resolve() for path in needed}
    kept |= {file.resolve() for path in needed if path.is_dir() and is_bag(path) for file in bag_files(path)}
    for file in old:
        if file.resolve() in kept:
            raise ReplayError(f"{file}: is needed for this replay and would be replaced; give another --output")
    for file in old:
        file.unlink()
    for folder in output.glob(f"{UNFINISHED}*"):
        shutil.rmtree(folder)


def write(output: Path, result: Result, gallery: Gallery, grouping: Grouping) -> None:
    """Fill the folder. Raises OSError."""
    write_atomically(output / FIGURES, json.dumps(result.report, indent=2) + "\n")
    write_atomically(output / TABLE, result.frames.to_csv(index=False))
    videos = {}
    for camera, film in gallery.films.items():
        path = output / ("overlay.webm" if len(gallery.films) == 1 else f"overlay_{camera}.webm")
        speed = write_video(path, film)
        videos[camera] = path.read_bytes(), speed
    html = page.render(result.report, result.frames, gallery, videos, grouping, result.class_names)
    write_atomically(output / REPORT, html)


def tell(problems: Sequence[str]) -> None:
    """To the one who started it."""
    for problem in problems:
        print(f"replay: {problem}", file=sys.stderr)

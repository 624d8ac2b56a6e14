"""The result of a replay in memory, and the names of the files that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.replay.schema import Report

PAGE, FIGURES, TABLE = "report.html", "report.json", "frames.csv"
RECORDING = "drive.mcap"
LOG = "node.log"
FILES = (PAGE, FIGURES, TABLE, RECORDING, LOG)
CHUNK = 1000


@dataclass(frozen=True)
class FrameId:
    """Identifies a frame: ``index`` in the drive, stamp of its header, and time since the start of the drive."""

    camera: str
    index: int
    stamp_ns: int
    at_ns: int


@dataclass
class Result:
    """The result of one drive or of several: the report, the table with a row for each frame, and the sums from which
    the figures are computed. ``seconds`` is the duration of the replay; ``class_names`` are the model's, ``palette``
    uint8[256, 3] their colours, RGB by class id."""

    report: Report
    frames: pd.DataFrame
    score: Score
    seconds: float
    class_names: tuple[str, ...]
    palette: NDArray[np.uint8]
    interrupted: bool = False


class Table:
    """Collects rows of a DataFrame. Rows are stored as columns of numbers, which saves memory for long drives."""

    def __init__(self) -> None:
        self._chunks: list[pd.DataFrame] = []
        self._rows: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Add a row; NaN, not None, where a number is missing."""
        self._rows.append(row)
        if len(self._rows) == CHUNK:
            self._pack()

    def extend(self, rows: pd.DataFrame) -> None:
        """Add another table's rows."""
        self._pack()
        self._chunks.append(rows)

    def frame(self) -> pd.DataFrame:
        """All rows."""
        self._pack()
        return pd.concat(self._chunks, ignore_index=True) if self._chunks else pd.DataFrame()

    def _pack(self) -> None:
        if self._rows:
            self._chunks.append(pd.DataFrame(self._rows))
            self._rows = []

"""What a replay comes to in memory, and the names of the files that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.replay.schema import Report

PAGE, FIGURES, TABLE = "report.html", "report.json", "frames.csv"
RECORDING = "drive.mcap"
LOG = "node.log"
FILES = (PAGE, FIGURES, TABLE, RECORDING, LOG)
CHUNK = 1000


@dataclass(frozen=True)
class FrameId:
    """Which frame it is: its ``index`` in the drive, the stamp of its header, and the time since the drive began."""

    camera: str
    index: int
    stamp_ns: int
    at_ns: int


@dataclass
class Result:
    """Of one drive or of several: the report, the table with a row for each frame, and the sums that the figures come
    from. ``seconds`` is how long the replay took; ``class_names`` are the model's."""

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

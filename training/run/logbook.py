"""Writes the log of a run: a table of all metrics, TensorBoard events, and a plot of loss and mIoU."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from unet_seg_ros.data.labels import CLASS_COLORS, VOID, palette
from unet_seg_ros.draw import colorize
from unet_seg_ros.files import write_atomically
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.text import last_words

Image = NDArray[np.uint8]
TABLE = "metrics.csv"


def picture(image: Image, label: Image, prediction: Image) -> Image:
    """Input, label, prediction and error (wrong pixels red, void black) side by side: H×4W×3 uint8 RGB.

    ``label`` and ``prediction`` are H×W uint8 train ids.
    """
    error = np.full(image.shape, 235, np.uint8)
    error[label != prediction] = (220, 20, 20)
    error[label == VOID] = 0
    colors = palette(CLASS_COLORS)
    return np.hstack([image, colorize(label, colors), colorize(prediction, colors), error])


class Logbook:
    """Writes ``metrics.csv`` (one row for each logged step; a cell is empty if nothing was measured) and TensorBoard
    events.

    Rows of steps after ``step`` are removed: a run that was killed had not saved these steps, and repeats them.
    """

    def __init__(self, folder: Path, step: int, columns: Sequence[str]) -> None:
        self.path = folder / TABLE
        rows = _earlier_rows(self.path)
        kept = rows[rows["step"] <= step].reindex(columns=["step", *columns])  # the validation may have changed
        write_atomically(self.path, kept.to_csv(index=False))
        self._file = self.path.open("a", buffering=1, newline="")
        self._table = csv.DictWriter(self._file, ["step", *columns])
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)  # type: ignore[no-untyped-call]

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one row. Raises ValueError for a name that is not one of the columns."""
        self._table.writerow({"step": step, **values})
        for name, value in values.items():
            self._board.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def pictures(self, step: int, pictures: Sequence[Image]) -> None:
        """Add pictures, made by ``picture``, to TensorBoard."""
        for number, image in enumerate(pictures):
            self._board.add_image(f"validation/{number}", image, step, dataformats="HWC")  # type: ignore[no-untyped-call]

    def __enter__(self) -> Logbook:
        return self

    def __exit__(self, *_: object) -> None:
        """Close, also after an error."""
        self.close()

    def close(self) -> None:
        """Write the rest and draw the curves."""
        self._file.close()
        self._board.close()  # type: ignore[no-untyped-call]
        plot(pd.read_csv(self.path), self.path.with_name("curves.png"))


def _earlier_rows(path: Path) -> pd.DataFrame:
    """The rows that a run wrote before, without a last one that was cut short. A file that cannot be read is moved
    aside, because a log must not prevent a run from going on."""
    none = pd.DataFrame(columns=["step"])
    if not path.exists() or path.stat().st_size == 0:
        return none
    try:
        text = path.read_text(encoding="utf-8")
        rows = pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1])).astype(float)
        return rows.astype({"step": int})
    except (ValueError, KeyError) as error:
        aside = path.with_suffix(".damaged.csv")
        path.replace(aside)
        print(f"{path}: cannot be read ({last_words(error)}); it is now {aside.name}", file=sys.stderr)
        return none


def plot(rows: Any, path: Path) -> None:
    """Loss and validation mIoU over the steps, as a PNG. ``rows`` is the table of ``metrics.csv``."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    logged = rows.dropna(subset=["train/loss"])
    axes.plot(logged["step"], logged["train/loss"], color="tab:gray", label="loss")
    axes.set(xlabel="step", ylabel="loss (mean since the last row)")
    if "val/miou" in rows and rows["val/miou"].notna().any():
        measured = rows.dropna(subset=["val/miou"])
        right = axes.twinx()
        right.plot(measured["step"], 100 * measured["val/miou"], "o-", color="tab:blue")
        right.set_ylabel("validation mIoU / %", color="tab:blue")
    figure.savefig(path, dpi=120)


def table(matrix: ConfusionMatrix) -> str:
    """IoU of each class and their mean, in percent, in one line each."""
    rows = [*zip(matrix.grouping.names, matrix.iou(), strict=True), ("mean", matrix.mean_iou())]
    return "\n".join(f"{name:<16}{'–' if value != value else f'{100 * value:.1f}':>6}" for name, value in rows)

"""Whether a replay is worse than an earlier one, over the frames that both have.

Frames that follow each other resemble each other, so whole seconds are drawn, and from both replays the same ones: a
paired block bootstrap (Künsch 1989; Efron and Tibshirani 1993). A metric is worse where the 95 % interval of its
difference lies on the wrong side of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unet_seg_ros.labels import Grouping
from unet_seg_ros.replay.report import Comparison, ReportError, read_report

DRAWS = 2000
SEED = 0
SECOND = 10**9
KEY = ("bag", "camera", "stamp_ns")

Sums = NDArray[np.float64]


class Metric(NamedTuple):
    """``columns`` of the table are summed over frames; ``value`` makes of the sums, float64[draws, columns], the
    metric, float64[draws]; ``better`` is 1 where more is better, -1 where less is."""

    columns: list[str]
    value: Callable[[Sums], Sums]
    better: int


class Baseline:
    """The report at ``path`` and the frames.csv beside it. Raises ReportError where they can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._report = read_report(path)
        table = path.with_name("frames.csv")
        try:
            self._frames = pd.read_csv(table)
        except (OSError, ValueError) as error:
            raise ReportError(f"{table}: the baseline's frames can't be read: {error}") from error

    def compare(self, frames: pd.DataFrame, mode: str, grouping: Grouping) -> list[Comparison]:
        """With the table of a replay. Raises ReportError, saying why the two can't be compared."""
        theirs = (self._report["accuracy"] or {}).get("grouping", grouping.name)
        if theirs != grouping.name:
            raise ReportError(f"{self._path}: its grouping is {theirs}, this replay's is {grouping.name}")
        try:
            return compare_frames(self._frames, frames, live=mode == self._report["mode"] == "live")
        except (KeyError, ValueError) as error:
            raise ReportError(f"{self._path}: {error}") from error


def compare_frames(before: pd.DataFrame, after: pd.DataFrame, live: bool = False) -> list[Comparison]:
    """Over the frames of the same camera and stamp in both tables; latency and dropped frames where ``live``.

    Raises ValueError if they share no two seconds.
    """
    both = _matched(before, after)
    seconds = (both["stamp_ns"] - both["stamp_ns"].min()) // SECOND if len(both) else []
    blocks = both.groupby([both["bag"], seconds], sort=True).ngroup().to_numpy() if len(both) else np.zeros(0, int)
    count = int(blocks.max()) + 1 if blocks.size else 0
    if count < 2:
        raise ValueError(f"the two have {len(both)} frames in common, within {count} s; at least 2 s are needed")
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)
    found = []
    for name, metric in _metrics(both, live).items():
        values = [_drawn(both, metric, end, blocks, count, draws) for end in ("_before", "_after")]
        (old, old_draws), (new, new_draws) = values
        differences = new_draws - old_draws
        if np.isnan(old) or np.isnan(new) or np.isnan(differences).all():
            continue
        low, high = (float(p) for p in np.nanpercentile(differences, [2.5, 97.5]))
        worse = high < 0 if metric.better > 0 else low > 0
        found.append(Comparison(metric=name, baseline=old, value=new, low=low, high=high, worse=worse))
    return found


def _matched(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    tables = []
    for table in (before, after):
        table = table.assign(bag=table.get("bag", ""), sent=1.0)
        table["dropped"] = (table["status"] != "processed").astype(float)
        tables.append(table.assign(nth=table.groupby(list(KEY)).cumcount()))
    return tables[0].merge(tables[1], on=[*KEY, "nth"], suffixes=("_before", "_after"))


def _metrics(both: pd.DataFrame, live: bool) -> dict[str, Metric]:
    classes = [
        name.removeprefix("union.").removesuffix("_after")
        for name in both.columns
        if name.startswith("union.") and name.endswith("_after") and f"{name.removesuffix('_after')}_before" in both
    ]
    found: dict[str, Metric] = {}
    if classes:
        columns = [f"{kind}.{name}" for kind in ("intersection", "union") for name in classes]
        found["miou"] = Metric(columns, _miou, 1)
        right = [f"intersection.{name}" for name in classes]
        found["pixel_accuracy"] = Metric([*right, "labelled"], _ratio, 1)
    found["flicker"] = Metric(["flicker"], _ratio, -1)
    if live:
        found["latency.mean"] = Metric(["latency"], _ratio, -1)
        found["dropped"] = Metric(["dropped", "sent"], _ratio, -1)
    return found


def _drawn(
    both: pd.DataFrame, metric: Metric, end: str, blocks: NDArray[np.int64], count: int, draws: Sums
) -> tuple[float, Sums]:
    """The metric over all frames and over each draw of blocks, without the frames in which one of the two lacks it."""
    usable = np.ones(len(both), np.bool_)
    for other in ("_before", "_after"):
        usable &= ~both[[f"{name}{other}" for name in metric.columns]].isna().any(axis=1).to_numpy()
    values = both[[f"{name}{end}" for name in metric.columns]].to_numpy(np.float64)[usable]
    if len(metric.columns) == 1:  # a mean over frames
        values = np.column_stack([values, np.ones(len(values))])
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, blocks[usable], values)
    return float(metric.value(sums.sum(axis=0, keepdims=True))[0]), metric.value(draws @ sums)


def _ratio(sums: Sums) -> Sums:
    """Of all columns but the last to the last."""
    parts, whole = sums[:, :-1].sum(axis=1), sums[:, -1]
    found = np.full(len(sums), np.nan)
    np.divide(parts, whole, out=found, where=whole > 0)
    return found


def _miou(sums: Sums) -> Sums:
    intersection, union = np.split(sums, 2, axis=1)
    present = union > 0
    iou, found = np.zeros_like(union), np.full(len(union), np.nan)
    np.divide(intersection, union, out=iou, where=present)
    np.divide(iou.sum(axis=1), present.sum(axis=1), out=found, where=present.any(axis=1))
    return found

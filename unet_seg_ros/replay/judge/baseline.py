"""Compares a replay with an earlier one, over the frames that both have.

It uses a paired block bootstrap (Künsch 1989; Efron and Tibshirani 1993). It draws whole seconds, because successive
frames are similar, and the same seconds from both replays. A metric is worse if the whole 95 % interval of its
difference is on the worse side of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.files import open_regular
from unet_seg_ros.replay.errors import ReportError
from unet_seg_ros.replay.schema import Comparison, read_report

DRAWS, AT_ONCE = 2000, 100
SEED = 0
SECOND = 10**9
ROUNDING = 1e-9
"""Largest rounding error of figures that were stored as CSV."""
KEY = ("bag", "camera", "stamp_ns")
ENDS = ("_before", "_after")
"""Suffixes of the baseline's columns and of this replay's."""

Sums = NDArray[np.float64]


class Metric(NamedTuple):
    """A metric that is compared. ``columns`` of the table are summed over frames. ``value`` computes the metric,
    float64[draws], from the sums, float64[draws, columns]. ``better`` is 1 if higher is better, -1 if lower is."""

    columns: list[str]
    value: Callable[[Sums], Sums]
    better: int


class Baseline:
    """The report at ``path`` and frames.csv in its folder. Raises ReportError if they cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._report = read_report(path)
        table = path.with_name("frames.csv")
        self.files = [path, table]
        try:
            with open_regular(table) as file:
                self._frames = pd.read_csv(file, dtype={"bag": str, "camera": str})
        except (OSError, ValueError) as error:
            raise ReportError(f"{table}: the baseline's frames cannot be read: {error}") from error
        missing = {"camera", "stamp_ns", "status", "flicker"} - set(self._frames)
        if missing:
            raise ReportError(
                f"{table}: not the frames of a replay; these columns are missing: {', '.join(sorted(missing))}"
            )
        sent = self._report["frames"]["sent"]
        if len(self._frames) != sent:
            raise ReportError(f"{table}: has {len(self._frames)} frames, but {path.name} counts {sent}; one is damaged")

    def compare(self, frames: pd.DataFrame, mode: str, grouping: Grouping) -> list[Comparison]:
        """Compare with the table of a replay. Raises ReportError that says why they cannot be compared."""
        theirs = (self._report["accuracy"] or {}).get("grouping", grouping.name)
        if theirs != grouping.name:
            raise ReportError(f"{self._path}: its grouping is {theirs}, but this replay's is {grouping.name}")
        if self._report["accuracy"] and "labelled" not in frames:
            raise ReportError(
                f"{self._path}: its frames had labels, but this replay's have none, so accuracy is not compared"
            )
        if "flicker" not in frames:
            raise ReportError(f"{self._path}: this replay processed no frame")
        try:
            return compare_frames(self._frames, frames, live=mode == self._report["mode"] == "live")
        except (KeyError, ValueError) as error:
            raise ReportError(f"{self._path}: {error}") from error


def compare_frames(before: pd.DataFrame, after: pd.DataFrame, live: bool = False) -> list[Comparison]:
    """Compare the frames with the same camera and stamp in both tables; latency and drops only if ``live``.

    Raises ValueError if the common frames cover less than 2 s.
    """
    both = _matched(before, after)
    seconds = (both["stamp_ns"] - both["stamp_ns"].min()) // SECOND if len(both) else []
    blocks = both.groupby([both["bag"], seconds], sort=True).ngroup().to_numpy() if len(both) else np.zeros(0, int)
    count = int(blocks.max()) + 1 if blocks.size else 0
    if count < 2:
        raise ValueError(f"both have {len(both)} frames in common, within {count} s, but at least 2 s are needed")
    metrics = _metrics(both, live)
    sums = {name: tuple(_sums(both, metric, end, blocks, count) for end in ENDS) for name, metric in metrics.items()}
    drawn: dict[str, list[Sums]] = {name: [] for name in metrics}
    rng = np.random.default_rng(SEED)
    for _ in range(DRAWS // AT_ONCE):  # all at once would need gigabytes for a long drive
        draws = rng.multinomial(count, np.full(count, 1 / count), AT_ONCE).astype(np.float64)
        for name, (before_sums, after_sums) in sums.items():
            value = metrics[name].value
            drawn[name].append(value(draws @ after_sums) - value(draws @ before_sums))
    found = []
    for name, metric in metrics.items():
        old, new = (float(metric.value(end.sum(axis=0, keepdims=True))[0]) for end in sums[name])
        differences = np.concatenate(drawn[name])
        if np.isnan(old) or np.isnan(new) or np.isnan(differences).all():
            continue
        low, high = (float(p) for p in np.nanpercentile(differences, [2.5, 97.5]))
        worse = high < -ROUNDING if metric.better > 0 else low > ROUNDING
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
    if {"trust_before", "trust_after"} <= set(both):
        found["trust.mean"] = Metric(["trust"], _ratio, 1)
    if live:
        found["latency.mean"] = Metric(["latency"], _ratio, -1)
        found["dropped"] = Metric(["dropped", "sent"], _ratio, -1)
    return found


def _sums(both: pd.DataFrame, metric: Metric, end: str, blocks: NDArray[np.int64], count: int) -> Sums:
    """Sums of the metric's columns over each block, float64[count, columns], without frames that lack the metric in one
    of the tables."""
    usable = np.ones(len(both), np.bool_)
    for other in ENDS:
        usable &= ~both[[f"{name}{other}" for name in metric.columns]].isna().any(axis=1).to_numpy()
    values = both[[f"{name}{end}" for name in metric.columns]].to_numpy(np.float64)[usable]
    if len(metric.columns) == 1:  # the metric is a mean over frames
        values = np.column_stack([values, np.ones(len(values))])
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, blocks[usable], values)
    return sums


def _ratio(sums: Sums) -> Sums:
    """The sum of all columns but the last, divided by the last."""
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

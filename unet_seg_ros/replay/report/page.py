"""Makes ``report.html``: the verdict, the figures of ``report.json``, plots and pictures in one file, which loads no
other file and runs no script. The layout is in ``page.html.jinja``, the colours and sizes are in ``page.css``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.metrics.figures import FIGURES
from unet_seg_ros.replay.nested import flattened
from unet_seg_ros.replay.report import colors, plots
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.schema import Report
from unet_seg_ros.replay.source.drive import Array

STRIP = 4
"""Number of pictures beside the video."""
CURVES = {
    "mean confidence": "mean_confidence",
    "flicker": "flicker",
    "mIoU": "miou",
    "agreement": "agreement",
    "trust": "trust",
}
"""The curves that are drawn over the time of the drive: their titles and their columns in the table of frames."""

T = TypeVar("T")


def render(
    report: Report,
    frames: pd.DataFrame,
    gallery: Gallery,
    videos: Mapping[str, tuple[bytes, float]],
    grouping: Grouping,
    class_names: Sequence[str],
) -> str:
    """Make the page. ``frames`` is the report's table with one row for each frame. ``videos`` has for each camera the
    video file and how many times faster than the drive it is. Masks hold ids of ``class_names``; they were compared in
    ``grouping``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = (percent, milliseconds, number, flat, strip, confusion)
    environment.filters.update({function.__name__: function for function in own})
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("page.html.jinja").render(
        report=report,
        films=gallery.films,
        videos=videos,
        worst=gallery.worst,
        distrusted=gallery.distrusted,
        grouping=grouping,
        class_names=class_names,
        palette=gallery.palette,
        figures=list(FIGURES),
        timing_plots=_timing(report, frames),
        class_plots=list(_classes(frames, class_names, gallery.palette)),
        reliability_plot=_reliability(report),
        resources_plot=_resources(report),
    )


def _timing(report: Report, frames: pd.DataFrame) -> list[tuple[str, str]]:
    """A plot and its caption for each camera."""
    total = "latency" if report["mode"] == "live" else "work"
    found = []
    for camera, mine in _by_camera(frames):
        stages = {name: column(mine, name) for name in colors.STAGES if name in mine}
        dropped = mine.loc[mine["status"] != "processed", "time"].to_numpy(float)
        svg = plots.frame_times(total, column(mine, "time"), column(mine, total), stages, dropped)
        found.append((svg, f"{camera}: {total} of each frame, and the stages that it is made of"))
    return found


def _by_camera(frames: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The frames of each camera; nothing for several bags, since the time begins at 0 in each of them."""
    if len(frames) and ("bag" not in frames or frames["bag"].nunique() == 1):
        for camera, mine in frames.groupby("camera", sort=False):
            yield str(camera), mine


def _classes(frames: pd.DataFrame, names: Sequence[str], palette: Array) -> Iterator[tuple[str, str]]:
    """For each camera, the plot and the caption of the share of each class and of the ``CURVES``."""
    columns = [f"coverage.{name}" for name in names]
    if not set(columns) <= set(frames.columns):
        return
    for camera, rows in _by_camera(frames.dropna(subset=columns)):
        times = column(rows, "time")
        shares = np.stack([column(rows, name) for name in columns], axis=1)
        yield plots.coverage(times, shares, names, palette), f"{camera}: share of each class"
        known = {title: column(rows, name) for title, name in CURVES.items() if name in rows and rows[name].count()}
        if known:
            yield plots.lines(times, known), ""


def _reliability(report: Report) -> str:
    bins = report["accuracy"] and report["accuracy"]["reliability"]
    if not bins or not bins["share"]:
        return ""
    return plots.reliability(np.array(bins["confidence"]), np.array(bins["accuracy"]), np.array(bins["share"]))


def _resources(report: Report) -> str:
    found = report["resources"]
    if not found or not found["at"]:
        return ""
    return plots.resources(*(np.array(values, float) for values in (found["at"], found["cpu"], found["memory"])))


def confusion(
    matrix: Sequence[Sequence[int]], names: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[tuple[str, str, str]]]]]:
    """The titles of the columns, and for each row its title and its cells, each with colour, opacity and text.

    ``matrix`` has a row for each label and a column for each prediction; the last column is void. The texts are
    percentages of the row. Rows without labels are left out."""
    shown = [i for i, row in enumerate(matrix) if sum(row)]
    columns = [j for j in range(len(matrix[0])) if j in shown or any(matrix[i][j] for i in shown)]

    def cell(i: int, j: int) -> tuple[str, str, str]:
        share = 100 * matrix[i][j] / sum(matrix[i])
        color = colors.CONFUSION_RIGHT if i == j else colors.CONFUSION_WRONG
        return (color, f"{min(1.0, 0.08 + share / 100):.2f}", f"{share:.0f}") if share >= 0.5 else (color, "0.00", "")

    return [[*names, "void"][j] for j in columns], [(names[i], [cell(i, j) for j in columns]) for i in shown]


def flat(pairs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names, after ``prefix``, and values of a mapping as texts, without empty values; nested mappings get dotted
    names."""
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in flattened(pairs, prefix)
        if value not in (None, "", [])
    ]


def strip(pictures: Sequence[T]) -> list[T]:
    """At most ``STRIP`` of the pictures, evenly spaced from the first to the last."""
    count = min(STRIP, len(pictures))
    return [pictures[round(i * (len(pictures) - 1) / max(STRIP - 1, 1))] for i in range(count)]


def column(frames: pd.DataFrame, name: str) -> plots.Values:
    """A column as float64[frames], NaN if there is no value."""
    return np.asarray(frames[name], np.float64)


def percent(share: float | None) -> str:
    """A share 0..1 as text in per cent; empty for None."""
    return "" if share is None else f"{100 * share:.1f} %"


def milliseconds(seconds: float | None, unit: str = " ms") -> str:
    """Seconds as text in milliseconds, with three digits; empty for None."""
    if seconds is None:
        return ""
    value = 1e3 * seconds
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}{unit}"


def number(value: float | None, unit: str) -> str:
    """A number as text with its unit; empty for None."""
    return "" if value is None else f"{value:.1f}{unit}"

"""``report.html``: what ``report.json`` says and what the frames looked like, verdict first, in one file that loads
nothing else and runs no script. ``page.html.jinja`` says what stands where, ``page.css`` how it looks.
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
from unet_seg_ros.replay.report import plots
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.schema import Report
from unet_seg_ros.replay.source.drive import Array

STRIP = 4
"""Pictures of the film strip."""
CURVES = {
    "mean confidence": "mean_confidence",
    "flicker": "flicker",
    "mIoU": "miou",
    "agreement": "agreement",
    "trust": "trust",
}
"""What is drawn over the drive, and the columns that hold it."""

T = TypeVar("T")


def render(
    report: Report,
    frames: pd.DataFrame,
    gallery: Gallery,
    videos: Mapping[str, tuple[bytes, float]],
    grouping: Grouping,
    class_names: Sequence[str],
) -> str:
    """The page. ``frames`` is the report's table with a row a frame; ``videos`` are the drive in short by camera, each
    with how much faster it goes by; masks hold ids of ``class_names``, compared in ``grouping``."""
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
        stages = {name: column(mine, name) for name in plots.STAGE_COLORS if name in mine}
        dropped = mine.loc[mine["status"] != "processed", "time"].to_numpy(float)
        svg = plots.frame_times(total, column(mine, "time"), column(mine, total), stages, dropped)
        found.append((svg, f"{camera}: {total} of each frame, and the stages that it is made of"))
    return found


def _by_camera(frames: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """A camera's frames; not those of several bags, whose times begin anew."""
    if len(frames) and ("bag" not in frames or frames["bag"].nunique() == 1):
        for camera, mine in frames.groupby("camera", sort=False):
            yield str(camera), mine


def _classes(frames: pd.DataFrame, names: Sequence[str], palette: Array) -> Iterator[tuple[str, str]]:
    """Plots and captions for each camera: the share of each class, and the `CURVES`."""
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
    """The columns' titles, and of each row its title and cells: colour, its strength and the text. ``matrix`` has a row
    a label and a column a prediction, the last one void; cells are per cent of their row, and rows without any label
    are left out."""
    shown = [i for i, row in enumerate(matrix) if sum(row)]
    columns = [j for j in range(len(matrix[0])) if j in shown or any(matrix[i][j] for i in shown)]

    def cell(i: int, j: int) -> tuple[str, str, str]:
        share = 100 * matrix[i][j] / sum(matrix[i])
        color = "53,165,108" if i == j else "214,65,58"
        return (color, f"{min(1.0, 0.08 + share / 100):.2f}", f"{share:.0f}") if share >= 0.5 else (color, "0.00", "")

    return [[*names, "void"][j] for j in columns], [(names[i], [cell(i, j) for j in columns]) for i in shown]


def flat(pairs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values, those of nested mappings under dotted names, without those that are empty."""
    found: list[tuple[str, str]] = []
    for key, value in pairs.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += flat(value, f"{name}.")
        elif value not in (None, "", []):
            found.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return found


def strip(pictures: Sequence[T]) -> list[T]:
    """At most `STRIP` of them, evenly spaced from the first to the last."""
    count = min(STRIP, len(pictures))
    return [pictures[round(i * (len(pictures) - 1) / max(STRIP - 1, 1))] for i in range(count)]


def column(frames: pd.DataFrame, name: str) -> plots.Values:
    """float64[frames], NaN where there is nothing."""
    return np.asarray(frames[name], np.float64)


def percent(share: float | None) -> str:
    """0..1 for people; empty where there is none."""
    return "" if share is None else f"{100 * share:.1f} %"


def milliseconds(seconds: float | None, unit: str = " ms") -> str:
    """For people, to three digits; empty where there are none."""
    if seconds is None:
        return ""
    value = 1e3 * seconds
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}{unit}"


def number(value: float | None, unit: str) -> str:
    """For people; empty where there is none."""
    return "" if value is None else f"{value:.1f}{unit}"

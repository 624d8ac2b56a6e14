"""``report.html``: what ``report.json`` says and what the frames looked like, verdict first, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from unet_seg_ros.labels import Grouping
from unet_seg_ros.replay import html, plots
from unet_seg_ros.replay.drive import Array
from unet_seg_ros.replay.gallery import Gallery

Report = Mapping[str, Any]
STAGES = ("transport", "wait", "decode", "preprocess", "forward", "post", "publish")
FIGURES = ("mean", "p50", "p95", "p99", "max")


def render(
    report: Report,
    frames: pd.DataFrame,
    gallery: Gallery,
    videos: Mapping[str, tuple[bytes, float]],
    grouping: Grouping,
    class_names: Sequence[str],
) -> str:
    """The page. ``report`` is as in ``report.json``, ``frames`` its table with a row a frame; ``videos`` are the drive
    in short by camera, each with how much faster it goes by; masks hold ids of ``class_names``, compared in
    ``grouping``."""
    made = report["made_by"]
    title = f"{made['bag']['path'].rstrip('/').rsplit('/', 1)[-1]}: {made['model']['id']}"
    under = f"Replay {report['mode']}, {report['frames']['sent']} frames of {made['bag']['path']}"
    return html.page(
        title,
        under,
        [
            _verdict(report),
            html.cards(_key_figures(report)),
            html.section("The drive", html.films(gallery, videos, _legend(class_names, gallery.palette))),
            html.section("Timing", *_timing(report, frames)),
            html.section("What was seen", *_seen(report, frames, class_names, gallery.palette)),
            html.section("Accuracy", *_accuracy(report, grouping, gallery.palette)),
            html.section("Worst frames", html.worst(gallery.worst)),
            html.section("CPU and memory of the node", _resources(report)),
            html.section("The drive's own timing", html.facts(report["source"])),
            html.section("What made this report", html.facts(made)),
        ],
    )


def _legend(names: Sequence[str], palette: Array) -> str:
    return "".join(f"<span>{html.swatch(name, palette[i])}</span>" for i, name in enumerate(names))


def _verdict(report: Report) -> str:
    checks = report["verdict"]
    failed = [check for check in checks if not check["passed"]]
    lines = [check["line"] for check in failed or checks]
    note = " ".join(report["problems"])
    return html.verdict(not failed if checks else None, lines, note)


def _key_figures(report: Report) -> list[tuple[str, str]]:
    frames, timing, accuracy, stability = (report[key] or {} for key in ("frames", "timing", "accuracy", "stability"))
    dropped, latency = sum(frames["dropped"].values()), timing.get("latency") or {}
    figures = [
        (percent(accuracy.get("miou")), f"mIoU, {accuracy.get('grouping')}"),
        (percent(accuracy.get("pixel_accuracy")), "pixel accuracy"),
        (milliseconds(latency.get("p50")), "latency, median"),
        (milliseconds(latency.get("p95")), "latency, p95"),
        (number(timing.get("rate"), " Hz"), "achieved rate"),
        (str(frames["processed"]), f"of {frames['sent']} frames processed"),
        (percent(dropped / frames["sent"] if frames["sent"] else None), "dropped"),
        (percent(stability.get("flicker")), "flicker"),
        (percent(stability.get("confidence")), "mean confidence"),
        (percent(stability.get("agreement")), "agreement with the other model"),
    ]
    return [(value, name) for value, name in figures if value]


def _timing(report: Report, frames: pd.DataFrame) -> list[str]:
    timing = report["timing"]
    known = [("end to end", timing["latency"])] if timing["latency"] else []
    known += [(name, timing["stages"][name]) for name in STAGES if timing["stages"].get(name)]
    rows = [[escape(name), *(milliseconds(figures[key], "") for key in FIGURES)] for name, figures in known]
    parts = []
    if known:
        parts = [html.table(["ms", *FIGURES], rows)]
    facts = {"rate": number(timing.get("rate"), " Hz"), "jitter": milliseconds(timing.get("jitter"))}
    facts |= {f"dropped: {reason}": count for reason, count in report["frames"]["dropped"].items()}
    parts.append(html.facts(facts))
    for camera, rows_of in frames.groupby("camera", sort=False):
        stages = {name: column(rows_of, name) for name in plots.STAGE_COLORS if name in rows_of}
        dropped = rows_of.loc[rows_of["status"] != "processed", "time"].to_numpy(float)
        svg = plots.latency(column(rows_of, "time"), column(rows_of, "latency"), stages, dropped)
        parts.append(
            html.plot(svg, _caption(frames, str(camera), "latency of each frame, and the stages that make it"))
        )
    return parts


def _seen(report: Report, frames: pd.DataFrame, names: Sequence[str], palette: Array) -> list[str]:
    parts: list[str] = []
    columns = [f"coverage.{name}" for name in names]
    if not set(columns) <= set(frames.columns):
        return parts
    for camera, rows in frames.dropna(subset=columns).groupby("camera", sort=False):
        times = column(rows, "time")
        shares = np.stack([column(rows, name) for name in columns], axis=1)
        parts.append(
            html.plot(plots.coverage(times, shares, names, palette), _caption(frames, str(camera), "class shares"))
        )
        curves = {"mean confidence": "mean_confidence", "flicker": "flicker", "mIoU": "miou", "agreement": "agreement"}
        known = {
            title: column(rows, name) for title, name in curves.items() if name in rows and rows[name].notna().any()
        }
        if known:
            parts.append(html.plot(plots.lines(times, known)))
    return parts


def _caption(frames: pd.DataFrame, camera: str, text: str) -> str:
    return f"{camera}: {text}" if frames["camera"].nunique() > 1 else text[0].upper() + text[1:]


def _accuracy(report: Report, grouping: Grouping, palette: Array) -> list[str]:
    found = report["accuracy"]
    if not found:
        return []
    colors = [palette[members[0]] for members in grouping.members]
    boundary = found.get("boundary_iou_per_class") or {}
    rows = []
    for name, color in zip(grouping.names, colors, strict=True):
        iou = found["iou"].get(name)
        rows.append([html.swatch(name, color), percent(iou) or "–", html.bar(iou), percent(boundary.get(name)) or "–"])
    parts = [
        html.table(["class", "IoU", "", "boundary IoU"], rows, "classes"),
        "<h3>Confusion: of each label's pixels, per cent predicted as</h3>",
        html.confusion(found["confusion"], grouping.names),
    ]
    return parts


def _resources(report: Report) -> str:
    found = report["resources"]
    if not found or not found["at"]:
        return ""
    return html.plot(plots.resources(*(np.array(found[key], float) for key in ("at", "cpu", "memory"))))


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

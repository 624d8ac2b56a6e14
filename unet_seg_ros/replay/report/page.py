"""``report.html``: what ``report.json`` says and what the frames looked like, verdict first, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from urllib.parse import quote

import numpy as np
import pandas as pd

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.metrics.figures import FIGURES, Distribution
from unet_seg_ros.replay.report import html, plots
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.schema import Report
from unet_seg_ros.replay.source.drive import Array

NONE = "–"


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
    made = report["made_by"]
    bag = str(made["bag"]["path"])
    return html.page(
        f"{bag.rstrip('/').rsplit('/', 1)[-1]}: {made['model']['id']}",
        f"Replay {report['mode']}, {report['frames']['sent']} frames of {bag}",
        [
            _verdict(report),
            html.cards(_key_figures(report)),
            html.section("Compared with the baseline", _baseline(report)),
            html.section("Bags", _bags(report)),
            html.section("The drive", html.films(gallery, videos, _legend(class_names, gallery.palette))),
            html.section("Timing", *_timing(report, frames)),
            html.section("What was seen", *_seen(frames, class_names, gallery.palette)),
            html.section("Accuracy", *_accuracy(report, grouping, gallery.palette)),
            html.section("Worst frames", html.worst(gallery.worst)),
            html.section("CPU and memory", _resources(report)),
            html.section("The cameras as recorded", _source(report)),
            html.section("What made this report", html.facts(made)),
        ],
    )


def _legend(names: Sequence[str], palette: Array) -> str:
    return "".join(f"<span>{html.swatch(name, palette[i])}</span>" for i, name in enumerate(names))


def _verdict(report: Report) -> str:
    """Failed requirements before those that hold."""
    checks = sorted(report["verdict"], key=lambda check: check["passed"])
    worse = [change["metric"] for change in report["baseline"] if change["worse"]]
    lines = [f"{'✓' if check['passed'] else '✗'} {check['line']}" for check in checks]
    lines += [f"✗ worse than the baseline: {', '.join(worse)}"] if worse else []
    passed = all(check["passed"] for check in checks) and not worse
    return html.verdict(passed if checks or report["baseline"] else None, lines, report["problems"])


def _key_figures(report: Report) -> list[tuple[str, str]]:
    frames, timing, accuracy, stability = report["frames"], report["timing"], report["accuracy"], report["stability"]
    dropped = sum(frames["dropped"].values())
    figures = []
    if accuracy:
        figures += [
            (percent(accuracy["miou"]), f"mIoU, {accuracy['grouping']}"),
            (percent(timing["streaming_miou"]), "mIoU when the mask arrives"),
            (percent(accuracy["pixel_accuracy"]), "pixel accuracy"),
            (percent(accuracy["boundary_iou"]), "boundary IoU"),
            (percent(accuracy["ece"]), "calibration error"),
        ]
    name, took = _took(report)
    if took:
        figures += [(milliseconds(took["p50"]), f"{name}, median"), (milliseconds(took["p95"]), f"{name}, p95")]
    figures += [
        (number(timing["rate"], " Hz"), "achieved rate"),
        (str(frames["processed"]), f"of {frames['sent']} frames processed"),
        (percent(dropped / frames["sent"] if frames["sent"] else None), "dropped"),
        (percent(stability["flicker"]), "flicker"),
        (percent(stability["confidence"]), "mean confidence"),
        (percent(stability["agreement"]), "agreement with the other model"),
        (percent(stability["agreement_miou"]), "mIoU with the other model"),
    ]
    return [(value, name) for value, name in figures if value]


def _took(report: Report) -> tuple[str, Distribution | None]:
    """The time that a frame took, and what it is called: live the latency, offline the work."""
    name = "latency" if report["mode"] == "live" else "work"
    return name, report["timing"][name]  # type: ignore[literal-required, no-any-return]


def _baseline(report: Report) -> str:
    rows = [
        [
            escape(change["metric"]),
            *(f"{change[key]:.4g}" for key in ("baseline", "value")),
            f"{change['low']:+.4g} to {change['high']:+.4g}",
            "worse" if change["worse"] else "not worse",
        ]
        for change in report["baseline"]
    ]
    return html.table(["metric", "baseline", "now", "difference, 95 %", ""], rows) if rows else ""


def _bags(report: Report) -> str:
    """A row for each of several, each with the way to its own report, and one for all of them."""
    rows = []
    for bag in [*report["bags"], report] if report["bags"] else []:
        frames, accuracy, (_, took) = bag["frames"], bag["accuracy"], _took(bag)
        figures = [
            f"{frames['processed']} / {frames['sent']}",
            percent(accuracy["miou"]) if accuracy else "",
            percent(accuracy["pixel_accuracy"]) if accuracy else "",
            milliseconds(took["p95"]) if took else "",
            percent(bag["stability"]["flicker"]),
            percent(bag["stability"]["confidence"]),
            escape("; ".join(bag["problems"])) if bag is not report else "",
        ]
        title = escape(str(bag["made_by"]["bag"]["path"]))
        folder = bag["made_by"]["bag"].get("folder")
        link = f'<a href="{escape(quote(folder))}/report.html">{title}</a>' if folder else title
        rows.append([link if bag is not report else "<b>all</b>", *(figure or NONE for figure in figures)])
    head = ["bag", "frames", "mIoU", "pixel accuracy", f"{_took(report)[0]}, p95", "flicker", "confidence", "problems"]
    return html.table(head, rows) if rows else ""


def _timing(report: Report, frames: pd.DataFrame) -> list[str]:
    timing, (total, took) = report["timing"], _took(report)
    named = {total: took, **timing["stages"]}
    rows = [
        [escape(name), *(milliseconds(found[key], "") for key in FIGURES)]  # type: ignore[literal-required]
        for name, found in named.items()
        if found
    ]
    facts = {"rate": number(timing["rate"], " Hz"), "jitter": milliseconds(timing["jitter"])}
    facts |= {f"dropped: {reason}": str(count) for reason, count in report["frames"]["dropped"].items()}
    parts = [html.table(["ms", *FIGURES], rows) if rows else "", html.facts(facts)]
    for camera, mine in _by_camera(frames):
        stages = {name: column(mine, name) for name in plots.STAGE_COLORS if name in mine}
        dropped = mine.loc[mine["status"] != "processed", "time"].to_numpy(float)
        svg = plots.frame_times(total, column(mine, "time"), column(mine, total), stages, dropped)
        parts.append(html.plot(svg, f"{camera}: {total} of each frame, and the stages that it is made of"))
    return parts


def _by_camera(frames: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """A camera's frames; not those of several bags, whose times begin anew."""
    if len(frames) and ("bag" not in frames or frames["bag"].nunique() == 1):
        for camera, mine in frames.groupby("camera", sort=False):
            yield str(camera), mine


def _seen(frames: pd.DataFrame, names: Sequence[str], palette: Array) -> list[str]:
    parts: list[str] = []
    columns = [f"coverage.{name}" for name in names]
    if not set(columns) <= set(frames.columns):
        return parts
    for camera, rows in _by_camera(frames.dropna(subset=columns)):
        times = column(rows, "time")
        shares = np.stack([column(rows, name) for name in columns], axis=1)
        parts.append(html.plot(plots.coverage(times, shares, names, palette), f"{camera}: share of each class"))
        curves = {"mean confidence": "mean_confidence", "flicker": "flicker", "mIoU": "miou", "agreement": "agreement"}
        known = {
            title: column(rows, name) for title, name in curves.items() if name in rows and rows[name].notna().any()
        }
        if known:
            parts.append(html.plot(plots.lines(times, known)))
    return parts


def _accuracy(report: Report, grouping: Grouping, palette: Array) -> list[str]:
    found = report["accuracy"]
    if not found:
        return []
    rows = []
    for name, members in zip(grouping.names, grouping.members, strict=True):
        iou, edge = found["iou"].get(name), found["boundary_iou_per_class"].get(name)
        cells = [percent(iou) or NONE, html.bar(iou), percent(edge) or NONE]
        rows.append([html.swatch(name, palette[members[0]]), *cells])
    parts = [
        html.table(["class", "IoU", "", "boundary IoU"], rows, "classes"),
        "<h3>Confusion: of each label's pixels, per cent predicted as</h3>",
        html.confusion(found["confusion"], grouping.names),
    ]
    bins = [np.array(values) for values in (found["reliability"][key] for key in ("confidence", "accuracy", "share"))]
    if len(bins[0]):
        parts += ["<h3>Calibration: how often it is right when it is so sure</h3>"]
        parts.append(html.plot(plots.reliability(*bins)))
    if found["regions"]:
        parts.append("<h3>Regions of interest</h3>")
        regions = [
            [escape(name), percent(region["miou"]) or NONE, percent(region["pixel_accuracy"]) or NONE]
            for name, region in found["regions"].items()
        ]
        parts.append(html.table(["region", "mIoU", "pixel accuracy"], regions, "classes"))
    return parts


def _resources(report: Report) -> str:
    found = report["resources"]
    if not found or not found["at"]:
        return ""
    series = [np.array(values, float) for values in (found["at"], found["cpu"], found["memory"])]
    return html.plot(plots.resources(*series))


def _source(report: Report) -> str:
    rows = []
    for camera, found in report["source"].items():
        order = "in order" if found["monotonic"] else f"{found['backward']} back, {found['repeated']} repeated"
        gaps = f"{found['gaps']}, longest {milliseconds(found['longest_gap'])}" if found["gaps"] else "none"
        figures = [number(found["seconds"], " s"), number(found["rate"], " Hz") or NONE, order, gaps]
        rows.append([escape(camera), escape(found["topic"]), str(found["frames"]), *figures])
    return html.table(["camera", "topic", "frames", "length", "rate", "stamps", "gaps"], rows) if rows else ""


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

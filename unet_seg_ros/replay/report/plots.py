"""The plots of the report. Each is an SVG element for the page; its text and axes have the colour and font of the
page."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.replay.report.colors import BLUE, GREEN, GREY, INK, ORANGE, RED, STAGES
from unet_seg_ros.replay.source.drive import Array

Values = NDArray[np.float64]

SMALL = 0.005
"""Classes with a smaller mean share are drawn together as one area."""
POINTS = 600
"""Largest number of points of a line. A longer drive is divided into this many equal parts, and their means are
drawn."""
WIDTH, HEIGHT = 10.4, 2.7

_numbers = itertools.count()


@contextmanager
def _axes(rows: int = 1, height: float = HEIGHT) -> Iterator[tuple[Any, Any]]:
    """A figure with its axes, one below the other. ``_svg`` makes the SVG element from it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style = {**dict.fromkeys(names, INK), "svg.fonttype": "none", "font.size": 10, "axes.spines.top": False}
    with pyplot.rc_context({**style, "axes.spines.right": False, "svg.hashsalt": "unet_seg_ros"}):
        figure, axes = pyplot.subplots(rows, 1, sharex=True, squeeze=False, figsize=(WIDTH, height))
        try:
            yield figure, axes[:, 0]
        finally:
            pyplot.close(figure)


def _svg(figure: Any) -> str:
    """The figure as an SVG element. Its ids are unique in the page, and the page sets its size."""
    figure.subplots_adjust(
        left=0.07, right=0.83, bottom=0.48 / figure.get_figheight(), top=1 - 0.1 / figure.get_figheight()
    )
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    prefix = f"p{next(_numbers)}"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text).replace(INK, "currentColor").strip()


def thin(times: Values, *lines: Values) -> tuple[Values, ...]:
    """The times and the lines over them, reduced to at most ``POINTS`` points. The means are taken without NaN."""
    if len(times) <= POINTS:
        return times, *lines
    parts = np.array_split(np.arange(len(times)), POINTS)

    def mean(values: Values) -> Values:
        return np.array([np.nan if np.isnan(values[part]).all() else np.nanmean(values[part]) for part in parts])

    return tuple(mean(values) for values in (times, *lines))


def _legend(axis: Any, reverse: bool = False) -> None:
    handles, labels = axis.get_legend_handles_labels()
    order = slice(None, None, -1) if reverse else slice(None)
    if labels:
        axis.legend(handles[order], labels[order], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def frame_times(name: str, times: Values, seconds: Values, stages: Mapping[str, Values], dropped: Values) -> str:
    """Plot the milliseconds of each frame over the time of the drive in seconds. ``seconds``, float64[n], is the total
    of each frame and is labelled ``name``, NaN if it is not known; ``stages`` are the same for each stage, by name.
    ``dropped`` are the times of the frames that were dropped."""
    with _axes() as (figure, (axis,)):
        names = [name for name in STAGES if name in stages and not np.isnan(stages[name]).all()]
        answered = ~np.isnan(seconds)
        at, total, *shares = thin(times[answered], seconds[answered], *(stages[name][answered] for name in names))
        if names:
            heights = [1e3 * np.nan_to_num(share) for share in shares]
            axis.stackplot(at, heights, labels=names, colors=[STAGES[name] for name in names], alpha=0.75)
        if answered.any():
            axis.plot(at, 1e3 * total, ".-", markersize=3, linewidth=0.7, color=INK, label=name)
            p95 = float(np.percentile(1e3 * seconds[answered], 95))
            axis.axhline(p95, linestyle="--", linewidth=1, color=RED, label=f"p95 {p95:.0f} ms")
            axis.set_ylim(0, 1.1 * float(np.max(1e3 * total)))
        if len(dropped):
            top = np.full(len(dropped), 0.97)
            where = {"transform": axis.get_xaxis_transform(), "color": RED, "markersize": 9}
            axis.plot(dropped, top, "|", label=f"{len(dropped)} dropped", **where)
        axis.set_ylabel(f"{name} (ms)")
        axis.set_xlabel("time (s)")
        axis.margins(x=0.01)
        _legend(axis, reverse=True)
        return _svg(figure)


def coverage(times: Values, shares: Values, names: Sequence[str], palette: Array) -> str:
    """Plot the share of each class over the time of the drive in seconds; ``shares`` is float64[frames, classes],
    0..1."""
    with _axes(height=3.4) as (figure, (axis,)):
        at, *lines = thin(times, *shares.T)
        stack = 100 * np.array(lines)
        main = [i for i in range(len(names)) if stack[i].mean() >= 100 * SMALL]
        rest = stack.sum(axis=0) - stack[main].sum(axis=0)
        axis.stackplot(
            at,
            [*stack[main], rest],
            colors=[*palette[main] / 255, GREY],
            labels=[*(names[i] for i in main), "others" if rest.max() > 0.1 else "_none"],
        )
        axis.set_ylim(0, 100)
        axis.set_ylabel("share of the image (%)")
        axis.set_xlabel("time (s)")
        axis.margins(x=0)
        _legend(axis, reverse=True)
        return _svg(figure)


def lines(times: Values, named: Mapping[str, Values], unit: str = "%", scale: float = 100.0) -> str:
    """Plot lines, by name, over the time of the drive in seconds. The values are multiplied by ``scale``."""
    with _axes(height=2.3) as (figure, (axis,)):
        for color, (name, values) in zip(itertools.cycle((BLUE, ORANGE, GREEN, RED, GREY)), named.items()):
            at, thinned = thin(times, values)
            axis.plot(at, scale * thinned, linewidth=1.2, color=color, label=name)
        axis.set_ylim(bottom=0)
        axis.set_ylabel(unit)
        axis.set_xlabel("time (s)")
        axis.margins(x=0.01)
        axis.grid(alpha=0.25)
        _legend(axis)
        return _svg(figure)


def resources(times: Values, cores: Values, memory: Values) -> str:
    """Plot the CPU use in cores and the memory in bytes of the node's process over the time in seconds."""
    with _axes(2, 3.2) as (figure, (top, bottom)):
        for axis, values, label, color in (
            (top, cores, "CPU (cores)", BLUE),
            (bottom, memory / 2**20, "memory (MiB)", GREEN),
        ):
            axis.fill_between(times, values, color=color, alpha=0.25, linewidth=0)
            axis.plot(times, values, color=color, linewidth=1.2)
            axis.set_ylim(0, 1.1 * max(float(values.max()), 0.1))
            axis.set_ylabel(label)
            axis.grid(alpha=0.25)
            axis.margins(x=0.01)
        bottom.set_xlabel("time (s)")
        return _svg(figure)


def reliability(confidence: Values, accuracy: Values, share: Values) -> str:
    """Plot how often the prediction is correct at each confidence. All values are those of the bins of confidence,
    0..1; ``share`` is the bin's share of the pixels."""
    with _axes(height=3.0) as (figure, (axis,)):
        axis.plot([0, 100], [0, 100], "--", color=GREY, linewidth=1, label="well calibrated")
        axis.bar(100 * confidence, 100 * share, width=4, color=BLUE, alpha=0.35, label="share of pixels")
        axis.plot(100 * confidence, 100 * accuracy, "o-", color=RED, markersize=4, linewidth=1.2, label="correct")
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 100)
        axis.set_xlabel("confidence (%)")
        axis.set_ylabel("%")
        axis.grid(alpha=0.25)
        _legend(axis)
        return _svg(figure)

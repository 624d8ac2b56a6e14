"""Class coverage and latency over the time of a drive, as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unet_seg_ros.labels import palette
from unet_seg_ros.replay.playback import Sent
from unet_seg_ros.replay.review import Review

SMALL = 0.005
"""Classes whose mean share is below this are drawn together."""
REST = "#d0d0d0"


def plot(found: Review, frames: list[Sent], path: Path) -> None:
    """A column per camera: stacked shares in the classes' colours above, latency and dropped frames below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cameras = list(dict.fromkeys(sent.camera for sent in frames))
    size = (2 + 9 * len(cameras), 7)
    ratios = {"height_ratios": [3, 1.4]}  # an argument of its own only from matplotlib 3.6 on; Humble has 3.5
    figure, axes = pyplot.subplots(2, len(cameras), squeeze=False, sharex="col", figsize=size, gridspec_kw=ratios)
    for camera, (top, bottom) in zip(cameras, axes.T, strict=True):
        rows = sorted((row for row in found.rows if row["camera"] == camera), key=lambda row: float(row["time"]))
        _shares(top, rows, found.class_names)
        _latency(bottom, [sent for sent in frames if sent.camera == camera])
        top.set_title(f"{camera}: {len(rows)} masks of {found.model}" if rows else f"{camera}: no masks")
    axes[0, 0].set_ylabel("share of the image (%)")
    axes[1, 0].set_ylabel("latency (ms)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _shares(axis: Any, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    if not rows:
        return
    shares = 100 * np.array([[row[name] for name in names] for row in rows]).T
    main = [i for i in range(len(names)) if shares[i].mean() >= 100 * SMALL]
    rest = shares.sum(axis=0) - shares[main].sum(axis=0)
    axis.stackplot(
        [row["time"] for row in rows],
        [*shares[main], rest],
        colors=[*palette()[main] / 255, REST],
        labels=[*(names[i] for i in main), "others" if rest.max() > 0.1 else "_none"],
        edgecolor="white",
        linewidth=0.4,
    )
    axis.set_ylim(0, 100)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _latency(axis: Any, frames: list[Sent]) -> None:
    done = [(sent.at_ns / 1e9, (sent.received_ns - sent.sent_ns) / 1e6) for sent in frames if sent.received_ns]
    dropped = [sent.at_ns / 1e9 for sent in frames if sent.received_ns is None]
    if done:
        axis.plot(*zip(*done, strict=True), marker=".", markersize=4, linewidth=0.8, color="#1f4e79", label="each mask")
        p95 = float(np.percentile([value for _, value in done], 95))
        axis.axhline(p95, linestyle="--", linewidth=0.8, color="#808080", label=f"p95 {p95:.0f} ms")
    if dropped:
        axis.plot(dropped, np.zeros(len(dropped)), "|", color="#c00000", markersize=9, label=f"{len(dropped)} dropped")
    axis.set_ylim(bottom=0)
    axis.margins(x=0.01)
    axis.set_xlabel("time (s)")
    axis.grid(alpha=0.3)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

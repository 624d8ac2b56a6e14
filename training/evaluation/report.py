"""Writes the report of an evaluation: figures as JSON and CSV, and pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.data.dataset import read_pair
from training.evaluation.evaluation import Evaluation, FrameScore
from training.run.logbook import picture
from unet_seg_ros import __version__
from unet_seg_ros.data.image_files import write_image
from unet_seg_ros.data.labels import CLASS_COLORS, VOID, Grouping
from unet_seg_ros.draw import contact_sheet, legend
from unet_seg_ros.files import write_atomically
from unet_seg_ros.metrics.calibration import Calibration
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.figures import by_class, finite
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.text import cell

WORST = 10
SHEET, SHEET_WIDTH = "worst.png", 1600


def write_report(
    folder: Path,
    segmenter: Segmenter,
    evaluation: Evaluation,
    settings: dict[str, Any],
    apart: Evaluation | None = None,
) -> None:
    """Write ``report.json``, ``per_frame.csv``, ``confusion.png``, ``reliability.png``, ``worst/``, a sheet of these.

    ``settings`` go into the report unchanged; ``apart`` is the evaluation with test-time augmentation. The pictures
    show ``evaluation``; those of an earlier report are replaced.
    """
    # the figures first: a picture that fails must not take them along
    rows = io.StringIO(newline="")
    table = csv.writer(rows)
    table.writerow(["name", "miou", "pixel_accuracy"])
    table.writerows((cell(score.pair.name), score.miou, score.pixel_accuracy) for score in evaluation.frames)
    write_atomically(folder / "per_frame.csv", rows.getvalue())
    report = {
        "bundle": segmenter.model_id,
        "version": __version__,
        "device": segmenter.engine.device,
        "precision": segmenter.engine.precision,
        "max_pixels": segmenter.max_pixels,
        **settings,
        **figures(evaluation),
        "apart": figures(apart) if apart else None,
    }
    write_atomically(folder / "report.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    _write_pictures(folder, segmenter, evaluation)


def _write_pictures(folder: Path, segmenter: Segmenter, evaluation: Evaluation) -> None:
    pictures = folder / "worst"
    pictures.mkdir(parents=True, exist_ok=True)
    for path in pictures.glob("*.png"):
        path.unlink()
    images = []
    for rank, score in enumerate(worst(evaluation.frames), 1):
        panels = frame_panels(segmenter, score, evaluation)
        images.append(np.vstack([panels, group_legend(evaluation.score.grouping, panels.shape[1])]))
        write_image(pictures / f"{rank:02}_{score.pair.name}_{100 * score.miou:.1f}.png", images[-1])
    if images:
        write_image(folder / SHEET, contact_sheet(images, 1, SHEET_WIDTH))
    confusion_figure(evaluation.score.confusion).savefig(folder / "confusion.png", dpi=130)
    reliability_figure(evaluation.score.calibration).savefig(folder / "reliability.png", dpi=130)


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """All figures of an evaluation, for JSON, 0..1; None if there is nothing to measure."""
    score, categories = evaluation.score, evaluation.categories
    confidence, accuracy, pixels = score.calibration.reliability()
    return {
        "grouping": score.grouping.name,
        "frames": len(evaluation.frames),
        **{name: finite(value) for name, value in evaluation.summary().items()},
        "iou": by_class(score.grouping, score.confusion.iou()),
        "boundary_iou": by_class(score.grouping, score.boundary.iou()),
        "category_iou": by_class(categories.grouping, categories.iou()),
        "confusion": score.confusion.matrix.tolist(),
        "reliability": {
            "confidence": [*map(finite, confidence)],
            "accuracy": [*map(finite, accuracy)],
            "pixels": pixels.tolist(),
        },
    }


def worst(frames: list[FrameScore]) -> list[FrameScore]:
    """The ten frames of lowest mIoU, the lowest first; frames without labelled pixels are left out."""
    return sorted((score for score in frames if not np.isnan(score.miou)), key=lambda score: score.miou)[:WORST]


def frame_panels(segmenter: Segmenter, score: FrameScore, evaluation: Evaluation) -> NDArray[np.uint8]:
    """Input, label, prediction and error of a frame. Each group has the colour of its first class."""
    grouping = evaluation.score.grouping
    shown = np.append([members[0] for members in grouping.members], VOID).astype(np.uint8)
    groups = np.minimum(grouping.table, len(grouping.members))
    image, label_ids = read_pair(score.pair)
    label, mask = (shown[groups[ids]] for ids in (evaluation.train_ids[label_ids], segmenter([image])[0].mask))
    return picture(image, label, mask)


def group_legend(grouping: Grouping, width: int) -> NDArray[np.uint8]:
    """The groups' names beside the colours of ``frame_panels``, ``width`` pixels wide."""
    return legend(grouping.names, [CLASS_COLORS[members[0]] for members in grouping.members], width)


def confusion_figure(matrix: ConfusionMatrix) -> Figure:
    """For each labelled class (row) the classes that were predicted, in percent; classes without pixels are grey."""
    counts, names = matrix.matrix, [*matrix.grouping.names, "none of these"]
    if not counts[:, -1].any():
        counts, names = counts[:, :-1], names[:-1]
    total = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    side = 2.6 + 0.46 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("0.93")
    shades = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(percent >= 0.5):
        value = percent[row, column]
        color = "white" if value > 60 else "0.15"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(counts)), matrix.grouping.names)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="seen as", ylabel="labelled as")
    bar = figure.colorbar(shades, shrink=0.7, label="% of the labelled pixels")
    bar.outline.set_visible(False)
    return figure


def reliability_figure(calibration: Calibration) -> Figure:
    """A plot of accuracy over confidence, and a histogram of the confidences."""
    confidence, accuracy, pixels = calibration.reliability()
    edges = np.linspace(0, 100, len(pixels) + 1)
    figure = Figure(figsize=(5, 6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    upper.bar(
        edges[:-1], 100 * np.nan_to_num(accuracy), np.diff(edges), align="edge", color="tab:blue", edgecolor="white"
    )
    upper.plot([0, 100], [0, 100], "--", color="0.4", label="calibrated")
    upper.plot(
        100 * confidence, 100 * accuracy, "o", color="tab:orange", markersize=4, label="mean confidence of the bin"
    )
    upper.set(ylabel="right / %", xlim=(0, 100), ylim=(0, 102))
    ece = calibration.ece()
    upper.set_title("no labelled pixels" if np.isnan(ece) else f"expected calibration error {100 * ece:.1f} %")
    upper.legend(loc="upper left", frameon=False)
    share = 100 * pixels / max(1, pixels.sum())
    lower.bar(edges[:-1], share, np.diff(edges), align="edge", color="0.6", edgecolor="white")
    lower.set(xlabel="confidence / %", ylabel="pixels / %")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure

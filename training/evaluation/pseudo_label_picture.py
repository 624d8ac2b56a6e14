"""A picture of pseudo labels, to check them before training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.data.dataset import labelled_pairs, read_pair
from training.data.sampling import evenly
from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES, ID_TO_TRAIN_ID, palette
from unet_seg_ros.draw import colorize, contact_sheet, legend, overlay

Image = NDArray[np.uint8]
FRAMES = 10
"""Number of frames that are shown, evenly spaced over all frames."""
WIDTH = 1600


def kept_picture(root: Path, split: str, classes: Mapping[str, Mapping[str, float | None]]) -> Image:
    """Frames with their labels (black = void, not sure), above a legend and a chart of the share that was kept of each
    class.

    ``root`` is a data set in Cityscapes layout; ``classes`` are by name ``of_all``, ``kept`` and ``least_confidence``,
    each 0..1 (``kept`` is None for a class that was not seen). Returns uint8[H, 1600, 3] RGB.
    """
    colors, rows = palette(CLASS_COLORS), []
    for pair in evenly(labelled_pairs(root, split), FRAMES):
        image, label_ids = read_pair(pair)
        labels = ID_TO_TRAIN_ID[label_ids]
        rows.append(np.hstack([image, overlay(image, labels, colors), colorize(labels, colors)]))
    sheet, names = contact_sheet(rows, 2, WIDTH), legend(CLASS_NAMES, CLASS_COLORS, WIDTH)
    return np.vstack([sheet, names, _chart(classes)])


def _chart(classes: Mapping[str, Mapping[str, float | None]]) -> Image:
    """A chart of each class: its share of all pixels, the share of its pixels that was kept, the least confidence."""
    figure = Figure(figsize=(WIDTH / 100, 4.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    share, kept = figure.subplots(2, sharex=True)
    places = np.arange(len(classes))
    colors = [tuple(value / 255 for value in color) for color in CLASS_COLORS]
    share.bar(places, [100 * (row["of_all"] or 0) for row in classes.values()], color=colors, edgecolor="0.3")
    share.set_yscale("symlog", linthresh=0.1)
    share.set(ylabel="of all pixels / %", ylim=(0, 100))
    kept.bar(places, [100 * (row["kept"] or 0) for row in classes.values()], color=colors, edgecolor="0.3")
    least = [100 * (row["least_confidence"] or 0) for row in classes.values()]
    kept.plot(places, least, "k_", markersize=22, label="least confidence")
    kept.set(ylabel="of these kept / %", ylim=(0, 105))
    kept.legend(loc="lower right")
    kept.set_xticks(places, list(classes), rotation=30, ha="right", rotation_mode="anchor")
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return np.asarray(cv2.resize(pixels, (WIDTH, pixels.shape[0])), np.uint8)

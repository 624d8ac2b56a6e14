"""From the logits of a frame to its mask and confidence at the frame's own size, in NumPy and OpenCV.

The logits are never resized as a whole. If the four logits around a pixel have the same argmax, any weighted mean of
them has it too, and the mask is that class. A cell is the square between four neighbouring logits. Only cells whose
corners differ in their argmax are interpolated (about one in twenty in a street scene), and there only the classes that
can win: a class cannot win if its highest corner is below the lowest corner of another class.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.engine import Scores
from unet_seg_ros.model.geometry import Axis

Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
COLUMNS = 1 << 15
"""Number of pixel columns that are interpolated at a time. It bounds the memory (5 MB for 19 classes)."""


def decode(logits: Floats, winner: Mask, probability: Floats, ys: Axis, xs: Axis) -> tuple[Mask, Mask]:
    """Mask and confidence (0..255), both uint8[H, W].

    ``logits`` is float32[C, h, w], ``winner`` uint8[h, w] their argmax and ``probability`` float32[h, w] its softmax;
    ``ys`` and ``xs`` say where the frame's pixels lie between the logits."""
    return resized_argmax(logits, winner, ys, xs), confidence(probability, ys, xs)


def scores_of(logits: Floats) -> Scores:
    """The scores that belong to logits float32[C, h, w]."""
    logits = np.ascontiguousarray(logits)
    highest = logits.max(axis=0)
    probability = 1 / np.exp(logits - highest).sum(axis=0)
    return Scores(logits, logits.argmax(axis=0).astype(np.uint8), probability)


def confidence(probability: Floats, ys: Axis, xs: Axis) -> Mask:
    """Probabilities float32[h, w] resized bilinearly to 0..255, uint8[H, W]."""
    used = probability[: len(ys.first), : len(xs.first)]
    # Scale factors are given instead of a size, because a frame may end in the middle of a logit.
    resized = cv2.resize(used, None, fx=1 / xs.step, fy=1 / ys.step, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(resized[: len(ys.low), : len(xs.low)], alpha=255), np.uint8)


def resized_argmax(logits: Floats, winner: Mask, ys: Axis, xs: Axis) -> Mask:
    """The argmax of logits float32[C, h, w] resized bilinearly, as uint8[H, W]; ``winner`` is their own argmax."""
    winner = winner[: len(ys.first), : len(xs.first)]
    mask = winner.take(xs.low, axis=1).take(ys.low, axis=0)
    rows, columns = np.nonzero(_mixed(winner))
    seen = (ys.counts[rows] > 0) & (xs.counts[columns] > 0)
    rows, columns = rows[seen], columns[seen]
    at_once = max(1, COLUMNS // int(xs.counts.max()))
    for start in range(0, len(rows), at_once):
        some = slice(start, start + at_once)
        _fill(mask, _candidates(logits, rows[some], columns[some], winner.shape), ys, xs)
    return mask


def _mixed(winner: Mask) -> NDArray[np.bool_]:
    """For each logit, whether it and its right, lower and lower right neighbours differ in their argmax."""
    mixed = np.zeros(winner.shape, bool)
    mixed[:, :-1] = winner[:, :-1] != winner[:, 1:]
    below = winner[:-1] != winner[1:]
    mixed[:-1] |= below
    mixed[:-1, :-1] |= below[:, 1:]
    return mixed


@dataclass
class _Candidates:
    """The classes that can win in each cell. Cells with the most such classes come first.

    ``classes[k]`` holds the k-th such class of the first ``len(classes[k])`` cells, ``corners[k]`` float32[4, cells]
    its logits at their corners: upper left, upper right, lower left, lower right.
    """

    rows: Indices
    columns: Indices
    classes: list[Mask]
    corners: list[Floats]


def _candidates(logits: Floats, rows: Indices, columns: Indices, size: tuple[int, ...]) -> _Candidates:
    """Candidates of the cells whose upper left logits are at ``rows`` and ``columns``; logits beyond ``size`` (h, w)
    belong to the padding."""
    stride = logits.shape[2]
    flat = logits.reshape(len(logits), -1)
    upper, lower = rows * stride, np.minimum(rows + 1, size[0] - 1) * stride
    right = np.minimum(columns + 1, size[1] - 1)
    places = (upper + columns, upper + right, lower + columns, lower + right)
    corners = np.stack([flat.take(place, axis=1) for place in places])
    possible = ~(corners.max(axis=0) < corners.min(axis=0).max(axis=0))  # a class with a NaN stays possible
    counts = possible.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    cells, classes = np.nonzero(possible.T)
    first = np.searchsorted(cells, order)
    counts = counts[order]
    found = _Candidates(rows[order], columns[order], [], [])
    for k in range(counts[0]):
        some = int(np.searchsorted(-counts, -k))  # cells with more than k candidates
        chosen = classes[first[:some] + k]
        found.classes.append(chosen.astype(np.uint8))
        found.corners.append(corners[:, chosen, order[:some]])
    return found


def _fill(mask: Mask, candidates: _Candidates, ys: Axis, xs: Axis) -> None:
    """Write the winning class of every pixel in the candidates' cells, one pixel row of all cells at a time."""
    widths = xs.counts[candidates.columns]
    ends = np.cumsum(widths)
    cell = np.repeat(np.arange(len(widths)), widths)  # the cell of each pixel column
    x = np.arange(ends[-1]) + (xs.first[candidates.columns] - ends + widths)[cell]
    weights = xs.weight[x]
    lines = []
    for classes, corners in zip(candidates.classes, candidates.corners, strict=True):
        some = cell[: ends[len(classes) - 1]]
        upper_left, upper_right, lower_left, lower_right = corners[:, some]
        upper = upper_left + weights[: len(some)] * (upper_right - upper_left)
        lower = lower_left + weights[: len(some)] * (lower_right - lower_left)
        lines.append((upper, lower - upper, classes[some]))
    first, last = ys.first[candidates.rows][cell], (ys.counts[candidates.rows] - 1)[cell]
    flat = mask.reshape(-1)
    for row in range(int(last.max()) + 1):
        y = first + np.minimum(row, last)
        flat[y * mask.shape[1] + x] = _best(lines, ys.weight[y])


def _best(lines: list[tuple[Floats, Floats, Mask]], weights: Floats) -> Mask:
    """The class with the highest ``upper + weight · slope`` at each place; the first one if several are equal."""
    upper, slope, classes = lines[0]
    best: Floats = upper + weights * slope
    winner: Mask = classes.copy()
    for upper, slope, classes in lines[1:]:
        value = upper + weights[: len(upper)] * slope
        better = value > best[: len(value)]
        np.copyto(best[: len(value)], value, where=better)
        np.copyto(winner[: len(value)], classes, where=better)
    return winner

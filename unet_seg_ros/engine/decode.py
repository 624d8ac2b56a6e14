"""From the logits of a frame to its mask and confidence at the frame's own size, in NumPy and OpenCV.

Full-size logits never exist. Where the four logits around a pixel agree in their argmax, so does any mean of them, and
the mask is that class. Only the cells between four logits that do not agree, about one in twenty of a street, are
interpolated, and there only the classes that can win: those whose highest corner is not below the lowest corner of
another class.
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
"""Pixel columns of cells that are interpolated at a time: bounds what the memory holds (5 MB for 19 classes)."""


def decode(logits: Floats, winner: Mask, probability: Floats, ys: Axis, xs: Axis) -> tuple[Mask, Mask]:
    """Mask and confidence (0..255), uint8[H, W], of logits float32[C, h, w], their argmax ``winner`` uint8[h, w] and
    its ``probability`` float32[h, w]; ``ys`` and ``xs`` say where the frame's pixels lie between the logits."""
    return resized_argmax(logits, winner, ys, xs), confidence(probability, ys, xs)


def scores_of(logits: Floats) -> Scores:
    """What an engine says that knows the logits float32[C, h, w] alone."""
    logits = np.ascontiguousarray(logits)
    highest = logits.max(axis=0)
    probability = 1 / np.exp(logits - highest).sum(axis=0)
    return Scores(logits, logits.argmax(axis=0).astype(np.uint8), probability)


def confidence(probability: Floats, ys: Axis, xs: Axis) -> Mask:
    """Probabilities float32[h, w] resized bilinearly to 0..255, uint8[H, W]."""
    used = probability[: len(ys.first), : len(xs.first)]
    # The factors are given, not the size: a frame may end in the middle of a logit.
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
    """Whether the logit, its right, its lower and its lower right neighbour differ in their argmax."""
    mixed = np.zeros(winner.shape, bool)
    mixed[:, :-1] = winner[:, :-1] != winner[:, 1:]
    below = winner[:-1] != winner[1:]
    mixed[:-1] |= below
    mixed[:-1, :-1] |= below[:, 1:]
    return mixed


@dataclass
class _Candidates:
    """The k-th class that can win in each of the cells that have so many, those with the most first.

    ``classes[k]`` and ``corners[k]`` (4, cells: upper left, upper right, lower left, lower right) are of the first
    ``len(classes[k])`` cells.
    """

    rows: Indices
    columns: Indices
    classes: list[Mask]
    corners: list[Floats]


def _candidates(logits: Floats, rows: Indices, columns: Indices, size: tuple[int, ...]) -> _Candidates:
    """Of the cells right below the logits at ``rows`` and ``columns``; logits beyond ``size`` (h, w) are of padding."""
    stride = logits.shape[2]
    flat = logits.reshape(len(logits), -1)
    upper, lower = rows * stride, np.minimum(rows + 1, size[0] - 1) * stride
    right = np.minimum(columns + 1, size[1] - 1)
    places = (upper + columns, upper + right, lower + columns, lower + right)
    corners = np.stack([flat.take(place, axis=1) for place in places])
    possible = ~(corners.max(axis=0) < corners.min(axis=0).max(axis=0))  # a class that is not a number stays possible
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
    cell = np.repeat(np.arange(len(widths)), widths)  # of each pixel column of each cell
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
    """The class with the highest value ``upper + weight · slope`` in each place; the first of equals."""
    upper, slope, classes = lines[0]
    best: Floats = upper + weights * slope
    winner: Mask = classes.copy()
    for upper, slope, classes in lines[1:]:
        value = upper + weights[: len(upper)] * slope
        better = value > best[: len(value)]
        np.copyto(best[: len(value)], value, where=better)
        np.copyto(winner[: len(value)], classes, where=better)
    return winner

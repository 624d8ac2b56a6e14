"""What one frame of one camera says about the cells of the grid."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.costs import GROUND, STANDING, Costs
from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.view import View

DEPTH = 0.5
"""The foot of a thing reaches this many metres away from the camera, starting where it touches the ground."""
PROBE = 8
"""A foot is as sure as the surest of this many samples above it: the border between two classes never is."""


class Layer(NamedTuple):
    """``cost``: uint8[rows, columns], 0..100 or 255 (unknown); ``weight``: float32[rows, columns], 0..1, how far to
    believe it: the confidence, less where the cell covers few pixels; 0 where it is unknown."""

    cost: NDArray[np.uint8]
    weight: NDArray[np.float32]


def project(
    view: View, costs: Costs, mask: NDArray[np.uint8], confidence: NDArray[np.uint8], threshold: float
) -> Layer:
    """Put a mask on the ground.

    ``mask`` and ``confidence`` (0..255 = 0..1) are H×W uint8 of the view's size; pixels whose confidence is below
    ``threshold`` (0..1) are unknown. Raises ValueError for another size.
    """
    if mask.shape != view.size or confidence.shape != view.size:
        raise ValueError(f"mask {mask.shape} and confidence {confidence.shape} must be {view.size}")
    classes, sure = mask.ravel(), confidence.ravel()
    lowest = int(np.ceil(threshold * 255))
    found = classes.take(view.pixel)
    sureness = sure.take(view.pixel)
    known = (costs.kind[found] == GROUND) & (sureness >= lowest) & (view.share > 0)
    cost = np.where(known, costs.cost[found], np.uint8(UNKNOWN))
    weight = np.where(known, view.share * sureness * np.float32(1 / 255), np.float32(0))
    _mark_feet(view, costs, classes, sure, lowest, (cost, weight))
    return Layer(cost.reshape(view.grid.shape), weight.reshape(view.grid.shape))


def _mark_feet(
    view: View,
    costs: Costs,
    classes: NDArray[np.uint8],
    sure: NDArray[np.uint8],
    lowest: int,
    cells: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    """Write the feet of standing things into the cost and the weight of the cells."""
    rays = view.rays
    kind = np.asarray(cv2.LUT(classes.take(rays.pixel), costs.kind)) * rays.seen.view(np.uint8)
    before, way = np.divmod(np.flatnonzero((kind[1:] == STANDING) & (kind[:-1] == GROUND)), kind.shape[1])
    above = np.minimum(before + 1 + np.arange(PROBE)[:, None], len(rays.ranges) - 1)
    same = np.logical_and.accumulate(kind[above, way] == STANDING, axis=0)
    sureness = np.where(same, sure.take(rays.pixel[above, way]), 0).max(0)
    believed = sureness >= max(lowest, 1)
    before, way, sureness = before[believed], way[believed], sureness[believed]
    cost = costs.cost[classes[rays.pixel[before + 1, way]]]
    contact = (rays.ranges[before] + rays.ranges[before + 1]) / 2
    depth = np.arange(0, DEPTH + 1e-9, view.grid.resolution / 2)[:, None]
    points = view.along(rays.ways[way][None], contact + depth)
    at = view.grid.cells(points[..., 0], points[..., 1])
    inside = (at >= 0) & (view.share[at] > 0)
    at, cost, sureness = (np.broadcast_to(array, inside.shape)[inside] for array in (at, cost, sureness))
    highest = np.zeros_like(cells[0])
    np.maximum.at(highest, at, cost)
    weight = view.share[at] * sureness * np.float32(1 / 255)
    cells[0][at], cells[1][at] = highest[at], 0
    np.maximum.at(cells[1], at, weight)

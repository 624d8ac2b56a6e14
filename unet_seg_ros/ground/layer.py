"""Makes a layer from a mask: the cost and the weight of each grid cell, as one frame of one camera shows it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.costs import GROUND, STANDING, Costs
from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.projection import View

DEPTH = 0.5
"""The foot of an object is the place where it stands on the ground. It extends this many metres away from the camera,
from the point where the object touches the ground."""
PROBE = 10
"""The confidence of a foot is the highest one of this many samples above it, because the confidence at the border
between two classes is always low."""
STEEP = 10
"""An edge that rises by this number of samples from one ray to the next is the side of an object."""
ASIDE = 0.25
"""A foot extends by this share of the angle between two rays to each side."""
BETWEEN = 3
"""Number of feet that are added between those of two neighbouring rays."""


class Layer(NamedTuple):
    """``cost``: uint8[rows, columns], 0..100 or 255 (unknown). ``weight``: float32[rows, columns], 0..1, how reliable
    the cost is: the confidence, reduced if the cell covers few pixels; 0 if the cost is unknown."""

    cost: NDArray[np.uint8]
    weight: NDArray[np.float32]


def project(
    view: View, costs: Costs, mask: NDArray[np.uint8], confidence: NDArray[np.uint8], threshold: float
) -> Layer:
    """Project a mask to the ground.

    ``mask`` and ``confidence`` (0..255 = 0..1) are uint8[H, W] of the view's size; pixels with a confidence below
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
    _mark(view, _feet(view, costs, classes, sure, lowest), cost, weight)
    return Layer(cost.reshape(view.grid.shape), weight.reshape(view.grid.shape))


class _Feet(NamedTuple):
    """Places where objects stand on the ground: ``way``, the direction of the ray (float64[n, 2]); ``contact``, the
    distance along it at which the object begins (float64[n], metres); the object's ``cost`` and, in ``sure``, its
    confidence (uint8[n])."""

    way: NDArray[np.float64]
    contact: NDArray[np.float64]
    cost: NDArray[np.uint8]
    sure: NDArray[np.uint8]


def _feet(view: View, costs: Costs, classes: NDArray[np.uint8], sure: NDArray[np.uint8], lowest: int) -> _Feet:
    """The places along the view's rays where a standing object comes after ground."""
    rays = view.rays
    kind = np.asarray(cv2.LUT(classes.take(rays.pixel), costs.kind), np.uint8) * rays.seen.view(np.uint8)
    before, ray = np.divmod(np.flatnonzero((kind[1:] == STANDING) & (kind[:-1] == GROUND)), kind.shape[1])
    foot = ~_beside_an_edge(kind, before, ray)
    before, ray = before[foot], ray[foot]
    above = np.minimum(before + 1 + np.arange(PROBE)[:, None], len(rays.ranges) - 1)
    same = np.logical_and.accumulate(kind[above, ray] == STANDING, axis=0)
    surest = np.where(same, sure.take(rays.pixel[above, ray]), np.uint8(0)).max(0, initial=0)
    believed = surest >= max(lowest, 1)
    before, ray, surest = before[believed], ray[believed], surest[believed]
    cost = costs.cost[classes[rays.pixel[before + 1, ray]]]
    feet = _Feet(rays.ways[ray], (rays.ranges[before] + rays.ranges[before + 1]) / 2, cost, surest)
    return _joined(feet, before, ray, rays.step)


def _joined(feet: _Feet, before: NDArray[np.int64], ray: NDArray[np.int64], step: float) -> _Feet:
    """Widen the feet to the distance of their rays, and add feet between the nearest ones of neighbouring rays, so that
    a wall that leads away from the camera has no gaps. ``step`` is the angle between two rays in radians."""
    rays, first = np.unique(ray, return_index=True)  # the feet are sorted by distance
    rises = np.abs(np.diff(before[first]))
    joins = np.flatnonzero((np.diff(rays) == 1) & (rises > 1) & (rises <= STEEP))
    here, there = first[joins], first[joins + 1]
    aside = feet.way[:, ::-1] * (-1, 1) * (step * ASIDE)
    parts = [feet, feet._replace(way=feet.way + aside), feet._replace(way=feet.way - aside)]
    for share in np.arange(1, BETWEEN + 1) / (BETWEEN + 1):
        way = feet.way[here] * (1 - share) + feet.way[there] * share
        contact = feet.contact[here] * (1 - share) + feet.contact[there] * share
        less = np.minimum(feet.sure[here], feet.sure[there])
        parts.append(_Feet(way, contact, np.minimum(feet.cost[here], feet.cost[there]), less))
    return _Feet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _beside_an_edge(kind: NDArray[np.uint8], before: NDArray[np.int64], ray: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the places where an object comes after ground are at the side of an object, not at its foot: bool[n].

    A ray crosses an upright edge several times if the edge is ragged or not parallel to the ray. At such a place the
    object continues downwards on one side of the ray, and the ground continues upwards on the other side.
    """
    run = np.arange(STEEP)[:, None]
    below, above = np.maximum(before - run, 0), np.minimum(before + 1 + run, len(kind) - 1)
    left, right = np.maximum(ray - 1, 0), np.minimum(ray + 1, kind.shape[1] - 1)
    thing = [(kind[below, side] == STANDING).all(0) for side in (left, right)]
    ground = [(kind[above, side] == GROUND).all(0) for side in (left, right)]
    return np.asarray((thing[0] & ground[1]) | (thing[1] & ground[0]))


def _mark(view: View, feet: _Feet, cost: NDArray[np.uint8], weight: NDArray[np.float32]) -> None:
    """Write the feet into the cost and the weight of their cells and replace the values there."""
    steps = 1 + int(np.ceil(DEPTH / view.grid.resolution * 1.5))
    far = feet.contact + np.linspace(0, DEPTH, steps)[:, None]
    cell = view.grid.cells(view.pose.x + far * feet.way[:, 0], view.pose.y + far * feet.way[:, 1])
    known = (cell >= 0) & (view.share[cell] > 0)
    foot = np.nonzero(known)[1]
    cell, high, sure = cell[known], feet.cost[foot], feet.sure[foot]
    highest, surest = np.zeros_like(cost), np.zeros_like(weight)
    np.maximum.at(highest, cell, high)
    np.maximum.at(surest, cell, view.share[cell] * sure * np.float32(1 / 255))
    cost[cell], weight[cell] = highest[cell], surest[cell]

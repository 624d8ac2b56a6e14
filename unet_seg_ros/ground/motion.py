"""Moves grids with the car, and remembers cells for some seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.grid import UNKNOWN, Grid

Cells = TypeVar("Cells", NDArray[np.uint8], NDArray[np.float32])


class Place(NamedTuple):
    """The place of the car on a flat map: ``x`` and ``y`` in metres, ``yaw`` in radians, positive to the left."""

    x: float
    y: float
    yaw: float


def moved(cells: Cells, source: Grid, was: Place, target: Grid, now: Place, fill: float) -> Cells:
    """Move the cells of grid ``source`` around a car at ``was`` to the grid ``target`` around a car at ``now``.

    Each cell gets the value of the cell that contains its centre, and ``fill`` outside of ``source``.
    """
    turn = now.yaw - was.yaw
    cos, sin = math.cos(turn), math.sin(turn)
    east, north = now.x - was.x, now.y - was.y
    shift = np.array(
        [math.cos(was.yaw) * east + math.sin(was.yaw) * north, math.cos(was.yaw) * north - math.sin(was.yaw) * east]
    )
    rotation = np.array([[cos, -sin], [sin, cos]])
    corner = rotation @ (target.x_min + target.resolution / 2, target.y_min + target.resolution / 2) + shift
    offset = (corner - (source.x_min, source.y_min)) / source.resolution - 0.5
    matrix = np.c_[rotation * target.resolution / source.resolution, offset]
    return np.asarray(  # type: ignore[return-value]
        cv2.warpAffine(
            cells,
            matrix,
            (target.columns, target.rows),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill,
        )
    )


@dataclass
class Memory:
    """Remembers costs for ``seconds`` after they were seen.

    The costs are kept in a grid that does not turn and that follows the car by whole cells. So moving it many times
    does not blur them.
    """

    grid: Grid
    seconds: float

    def __post_init__(self) -> None:
        grid = self.grid
        reach = max(math.hypot(x, y) for x in (grid.x_min, grid.x_max) for y in (grid.y_min, grid.y_max))
        half = math.ceil(reach / grid.resolution + 1) * grid.resolution
        self._around = Grid(-half, -half, half, half, grid.resolution)
        self._centre = Place(0, 0, 0)
        self._cost: NDArray[np.uint8] = np.full(self._around.shape, UNKNOWN, np.uint8)
        self._age: NDArray[np.float32] = np.zeros(self._around.shape, np.float32)
        self._stamp = -math.inf

    def update(self, cost: NDArray[np.uint8], place: Place, stamp: float) -> NDArray[np.uint8]:
        """Add the costs that are seen from ``place`` at ``stamp`` seconds, uint8[rows, columns]. Returns them with the
        remembered costs in the cells that are unknown now. Stamps of several cameras may be a little out of order. A
        stamp that is more than ``seconds`` older than the last one clears the memory: a drive is played again."""
        if stamp < self._stamp - self.seconds:
            self.__post_init__()
        self._age += np.float32(min(max(0.0, stamp - self._stamp), 2 * self.seconds))
        self._stamp = max(stamp, self._stamp)
        size = self.grid.resolution
        centre = Place(round(place.x / size) * size, round(place.y / size) * size, 0)
        around = self._around
        self._cost = moved(self._cost, around, self._centre, around, centre, UNKNOWN)
        self._age = moved(self._age, around, self._centre, around, centre, 0)
        self._centre = centre
        seen = moved(cost, self.grid, place, around, centre, UNKNOWN)
        new = seen != UNKNOWN
        self._age[new] = 0
        self._cost = np.where(new, seen, np.where(self._age >= self.seconds, np.uint8(UNKNOWN), self._cost))
        remembered = moved(self._cost, around, centre, self.grid, place, UNKNOWN)
        return np.where(cost == UNKNOWN, remembered, cost)

"""Grids of a car that moves: seen again from where the car is now, and remembered for a while."""

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
    """Where the car is on a flat map: metres, and radians to the left."""

    x: float
    y: float
    yaw: float


def moved(cells: Cells, source: Grid, was: Place, target: Grid, now: Place, fill: float) -> Cells:
    """The cells of ``source``, seen from a car at ``was``, as cells of ``target``, seen from a car at ``now``.

    Each takes the value of the cell that its centre lies in, ``fill`` outside.
    """
    turn = now.yaw - was.yaw
    cos, sin = math.cos(turn), math.sin(turn)
    east, north = now.x - was.x, now.y - was.y
    shift = np.array(
        [
            math.cos(was.yaw) * east + math.sin(was.yaw) * north,
            math.cos(was.yaw) * north - math.sin(was.yaw) * east,
        ]
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
    """Costs that were seen up to ``seconds`` ago.

    They are kept in a grid that stands still on the map and follows the car by whole cells: nothing is blurred by
    being moved again and again.
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
        """Take what is seen now, uint8[rows, columns] from ``place`` at ``stamp`` seconds, and give it back with what
        is remembered where nothing is seen. A stamp that is ``seconds`` older than the last one begins anew: a drive
        is played again. Cameras may be a little out of order."""
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

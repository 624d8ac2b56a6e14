"""Tables between a camera's pixels and the ground. They are made once for a calibration and an image size.

There are two tables. The first has a pixel for each grid cell; it is used for classes of the ground. The second has the
pixels along rays on the ground, which start below the camera; it is used to find the foot of an object, since the image
shows along a ray first the ground and then the object. For an upright camera without distortion a ray is a column of
the image; rays are correct for all other cameras too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.camera import CalibrationError, Camera
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.pose import Pose

SMALLEST = 1.0
"""A cell that covers fewer pixels of the image is unknown, because it is too far away."""
SAMPLES_PER_CELL = 4
SAMPLES_PER_PIXEL = 3
"""Number of samples along a ray for each cell, or for each pixel if a pixel is larger than a cell."""
INNER = 0.4, 0.6
"""The part of a cell, along each side, in which its size in pixels is measured."""

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """A camera and its pose."""

    camera: Camera
    pose: Pose


@dataclass(frozen=True, eq=False)
class Rays:
    """Points on the ground along rays. ``ranges``, float64[r], are the distances in metres from the point below the
    camera, in ascending order; ``ways``, float64[a, 2], are the directions, of length 1 and ``step`` radians apart;
    ``pixel``, int64[r, a], is the row-major pixel of each point, and ``seen``, bool[r, a], whether it is in the
    image."""

    ranges: Array
    ways: Array
    step: float
    pixel: Index
    seen: NDArray[np.bool_]


class View:
    """The part of a grid that a camera sees.

    ``pixel``, int64[cells], is the row-major pixel of each cell's centre (0 if it is not seen). ``share``,
    float32[cells], 0..1, is n / (n + 1) for a cell that covers n pixels and 0 for a cell that is not seen. ``camera``
    is the camera scaled to images of ``size`` = (height, width). Raises CalibrationError if the camera sees nothing of
    the grid.
    """

    def __init__(self, calibration: Calibration, grid: Grid, size: tuple[int, int]) -> None:
        self.grid, self.size = grid, size
        self.pose = calibration.pose
        self.camera = calibration.camera.scaled(size[1], size[0])
        self.pixel, seen = self._look(grid.points())
        self.share = np.where(seen, self._areas(), 0).astype(np.float32)
        self.share[self.share < SMALLEST] = 0
        self.share /= self.share + 1
        if not self.share.any():
            raise CalibrationError(
                f"the camera sees nothing of the ground between x {grid.x_min:g} and {grid.x_max:g} m, "
                f"y {grid.y_min:g} and {grid.y_max:g} m: check its pose (it may look at the sky) "
                "and the grid (its cells may be too small)"
            )
        self.rays = self._cast()

    def _look(self, points: Array) -> tuple[Index, NDArray[np.bool_]]:
        """The row-major pixel of points on the ground, int64[n], and whether each is in the image, bool[n]."""
        at, seen = self.camera.project(self.pose.to_camera(points))
        column, row = np.rint(np.where(seen[:, None], at, 0)).astype(np.int64).T
        pixel = np.asarray(row * self.size[1] + column)
        return np.where(seen, pixel, 0), seen

    def _areas(self) -> Array:
        """The number of pixels that each cell covers, float64[cells]; 0 if its middle is not completely in the
        image."""
        low, high = INNER
        corners = [
            self.camera.project(self.pose.to_camera(self.grid.points(offset)))
            for offset in ((low, low), (high, low), (high, high), (low, high))
        ]
        (a, b, c, d), seen = (corner.at for corner in corners), np.all([corner.seen for corner in corners], axis=0)
        (ux, uy), (vx, vy) = (c - a).T, (d - b).T
        return np.asarray(np.where(seen, np.abs(ux * vy - uy * vx) / 2 / (high - low) ** 2, 0))

    def _cast(self) -> Rays:
        cells = self.grid.points()[self.share > 0, :2] - (self.pose.x, self.pose.y)
        distance = np.hypot(*cells.T)
        step = max(self.grid.resolution / 2 / distance.max(), 1 / max(self.camera.fx, self.camera.fy))
        angle = _covered(np.arctan2(cells[:, 1], cells[:, 0]), step)
        ways = np.stack([np.cos(angle), np.sin(angle)], 1)
        spare = self.grid.resolution
        ranges = self._ranges(
            ways[:: max(1, len(ways) // 64)], max(0.0, distance.min() - spare), distance.max() + spare
        )
        pixel, seen = self._look(self.along(ways[None], ranges[:, None]).reshape(-1, 3))
        shape = len(ranges), len(ways)
        return Rays(ranges, ways, step, pixel.reshape(shape), seen.reshape(shape))

    def along(self, ways: Array, ranges: Array) -> Array:
        """Points on the ground in the directions ``ways``, float64[..., 2], at ``ranges`` metres, float64[...]."""
        flat = ranges[..., None] * ways + (self.pose.x, self.pose.y)
        return np.concatenate([flat, np.zeros((*flat.shape[:-1], 1))], -1)

    def _ranges(self, ways: Array, nearest: float, farthest: float) -> Array:
        """The distances of the samples along the rays. The size of a cell or of a pixel on the ground sets how far
        they are apart, whichever is larger."""
        fine = np.arange(nearest, farthest + self.grid.resolution, self.grid.resolution / 8)
        at, seen = self.camera.project(self.pose.to_camera(self.along(ways[None], fine[:, None]).reshape(-1, 3)))
        at, seen = at.reshape(len(fine), -1, 2), seen.reshape(len(fine), -1)
        moved = np.where(seen[1:] & seen[:-1], np.hypot(*np.moveaxis(np.diff(at, axis=0), -1, 0)), 0).max(1)
        per_cell = np.diff(fine) / self.grid.resolution
        count = np.cumsum(np.minimum(SAMPLES_PER_CELL * per_cell, np.maximum(SAMPLES_PER_PIXEL * moved, 1e-6)))
        return np.asarray(np.interp(np.arange(0.0, count[-1] + 1), np.r_[0.0, count], fine))


def _covered(angles: Array, step: float) -> Array:
    """Of angles around the whole circle, ``step`` radians apart, those that are within a degree of one of
    ``angles``."""
    taken = np.zeros(360, np.bool_)
    taken[np.floor(np.degrees(angles)).astype(np.int64) % 360] = True
    taken |= np.roll(taken, 1) | np.roll(taken, -1)
    around = np.arange(-np.pi, np.pi, step)
    return np.asarray(around[taken[np.floor(np.degrees(around)).astype(np.int64) % 360]])

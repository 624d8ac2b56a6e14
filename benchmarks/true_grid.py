"""The true grid of a frame of a synthetic drive: the grid that ``unet_seg_ros.ground`` should make from a perfect mask.

It is computed from a label image of higher resolution with the town's own projection. No code of
``unet_seg_ros.ground`` that is to be checked is used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.town.raster import Camera, Pose
from training.town.shapes import ID
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import DEPTH

FINE = 4
"""Factor between the resolution of the label image and that of the camera."""
GROUND = {"road": 0, "sidewalk": 60, "terrain": 70}
"""The classes of the ground and their costs."""

Array = NDArray[np.float64]


def intersection_and_union(
    found: NDArray[np.uint8], true: NDArray[np.uint8], cost: int, within: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The number of cells that have ``cost`` in both grids and in at least one of them, int64[2]; only cells of
    ``within`` count."""
    one, other = (found == cost) & within, (true == cost) & within
    return np.array([(one & other).sum(), (one | other).sum()])


def finer(lens: Camera) -> Camera:
    """The same camera with ``FINE`` times the pixels in each direction."""
    cx, cy = ((c + 0.5) * FINE - 0.5 for c in (lens.cx, lens.cy))
    return Camera(lens.fx * FINE, lens.fy * FINE, cx, cy, lens.width * FINE, lens.height * FINE)


def true_grid(grid: Grid, lens: Camera, pose: Pose, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Costs of the cells, uint8[rows, columns], 0..100 or 255 (unknown).

    ``lens`` is the camera and ``label`` the label ids in the image of ``finer(lens)``. The origin of the car's frame is
    on the ground below the camera. Ground is known if it is visible and its cell covers at least one pixel of the
    camera. The feet of visible objects have the cost 100 and are half a metre deep.
    """
    costs = np.full(256, UNKNOWN, np.uint8)
    for name, cost in GROUND.items():
        costs[ID[name]] = cost
    x, y, _ = grid.points().T
    depth, row, column = _project(finer(lens), pose, x, y)
    height, width = label.shape
    inside = (depth > 0) & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    pixels = grid.resolution**2 * lens.fx * lens.fy * pose.height / np.maximum(depth, 1e-6) ** 3
    known = inside & (pixels >= 1)
    seen = label[np.where(inside, row, 0), np.where(inside, column, 0)]
    cells = np.where(known, costs[seen], np.uint8(UNKNOWN))
    cells[_feet(grid, finer(lens), pose, costs[label] != UNKNOWN, label != ID["sky"])] = 100
    return np.asarray(np.where(known, cells, np.uint8(UNKNOWN)).reshape(grid.shape))


def _project(lens: Camera, pose: Pose, x: Array, y: Array) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """The depth of points on the ground (metres along the optical axis), and the rows and columns of their pixels."""
    cos, sin = np.cos(pose.pitch), np.sin(pose.pitch)
    depth = x * cos + pose.height * sin
    safe = np.maximum(depth, 1e-6)
    row = np.rint(lens.cy + lens.fy * (pose.height * cos - x * sin) / safe)
    column = np.rint(lens.cx - lens.fx * y / safe)
    row, column = (np.clip(at, -1, 2**20).astype(np.int64) for at in (row, column))
    return depth, row, column


def _feet(
    grid: Grid, lens: Camera, pose: Pose, ground: NDArray[np.bool_], solid: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The cells of the feet: the places in each column of the image where an object is directly above ground."""
    row, column = np.nonzero(ground[1:] & ~ground[:-1] & solid[:-1])
    down = (row + 0.5 - lens.cy) / lens.fy  # the border between the two pixels
    cos, sin = np.cos(pose.pitch), np.sin(pose.pitch)
    below = down * cos + sin
    row, column, down = row[below > 1e-4], column[below > 1e-4], down[below > 1e-4]
    scale = pose.height / (down * cos + sin)
    x, y = scale * (cos - down * sin), -scale * (column - lens.cx) / lens.fx
    far = np.hypot(x, y)
    deeper = 1 + np.arange(0, DEPTH, grid.resolution / 8)[:, None] / far
    cells = grid.cells((x * deeper).ravel(), (y * deeper).ravel())
    return np.asarray(np.unique(cells[cells >= 0]))

"""The grid on the ground, and the values of its cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 255
"""Cost of an unknown cell. As a signed byte it is -1, as in ``nav_msgs/OccupancyGrid``."""
LETHAL = 100
"""The highest cost: the cell is occupied by an object."""
MAX_CELLS = 2000 * 2000


@dataclass(frozen=True)
class Grid:
    """A rectangle on the ground, divided into square cells with sides of ``resolution`` metres.

    ``x_min``, ``y_min``, ``x_max``, ``y_max`` are car coordinates (x forward, y left) in metres. Arrays of cells have
    the shape (rows, columns): the column increases with x and the row with y, as in ``nav_msgs/OccupancyGrid``. Raises
    ValueError.
    """

    x_min: float = 0.0
    y_min: float = -20.0
    x_max: float = 40.0
    y_max: float = 20.0
    resolution: float = 0.2

    def __post_init__(self) -> None:
        area = (self.x_min, self.y_min, self.x_max, self.y_max)
        if not all(math.isfinite(number) for number in (*area, self.resolution)) or self.resolution <= 0:
            raise ValueError(
                f"the grid's area {area} and its resolution {self.resolution} must be finite numbers in metres, "
                "and the resolution must be above 0"
            )
        rows, columns = (self.y_max - self.y_min) / self.resolution, (self.x_max - self.x_min) / self.resolution
        if min(rows, columns) <= 0.5:
            raise ValueError(f"the grid's area {area} must be x_min, y_min, x_max, y_max and contain at least one cell")
        if rows * columns > MAX_CELLS:
            raise ValueError(f"the grid has {rows:.7g}×{columns:.7g} cells; the limit is {MAX_CELLS} cells")

    @property
    def rows(self) -> int:
        return round((self.y_max - self.y_min) / self.resolution)

    @property
    def columns(self) -> int:
        return round((self.x_max - self.x_min) / self.resolution)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    def points(self, offset: tuple[float, float] = (0.5, 0.5)) -> NDArray[np.float64]:
        """One point of each cell in row-major order, float64[rows × columns, 3], in metres. ``offset`` is the point's
        position in the cell, 0..1 along x and y; the default is the centre."""
        x = self.x_min + (np.arange(self.columns) + offset[0]) * self.resolution
        y = self.y_min + (np.arange(self.rows) + offset[1]) * self.resolution
        across, along = np.meshgrid(x, y)
        return np.stack([across.ravel(), along.ravel(), np.zeros(across.size)], 1)

    def cells(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """The row-major index of the cell that contains each point (in metres); -1 outside the grid."""
        column = np.floor((x - self.x_min) / self.resolution).astype(np.int64)
        row = np.floor((y - self.y_min) / self.resolution).astype(np.int64)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        return np.asarray(np.where(inside, row * self.columns + column, -1))

"""Draws a grid as a picture for people, seen from above; the car looks up."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.grid import Grid

UNSEEN, FREE, COSTLY, LETHAL_RED = (46, 46, 50), (214, 226, 214), (236, 178, 86), (206, 40, 40)
LINES, INK, CAR = (110, 118, 130), (235, 235, 235), (70, 130, 240)
EVERY = 10
"""Metres between two lines of the scale."""


def colors() -> NDArray[np.uint8]:
    """The colour of each cost, uint8[256, 3] RGB: free is light, ground to avoid is orange, lethal is red and unknown
    is dark."""
    table = np.full((256, 3), UNSEEN, np.uint8)
    share = np.linspace(0, 1, 100)[:, None]
    ramp = (1 - share) * FREE + share * np.array(COSTLY)
    table[:100] = np.where(share == 0, ramp, np.clip(0.4 * np.array(COSTLY) + 0.6 * ramp, 0, 255))
    table[100] = LETHAL_RED
    return table


def draw_grid(cost: NDArray[np.uint8], grid: Grid, height: int) -> NDArray[np.uint8]:
    """Draw the cells, uint8[rows, columns] with 0..100 or 255, as uint8[H, W, 3] RGB of ``height`` pixels, with a line
    every ten metres ahead and the place of the car. Raises ValueError for cells of another shape."""
    if cost.shape != grid.shape:
        raise ValueError(f"the cells have the shape {cost.shape}, but the grid has {grid.shape}")
    above = colors()[cost].transpose(1, 0, 2)[::-1, ::-1]
    scale = height / grid.columns
    width = max(1, round(grid.rows * scale))
    picture = cv2.resize(np.ascontiguousarray(above), (width, height), interpolation=cv2.INTER_NEAREST)
    for x in range(EVERY * int(np.ceil(grid.x_min / EVERY)), int(grid.x_max) + 1, EVERY):
        row = round((grid.x_max - x) / grid.resolution * scale)
        cv2.line(picture, (0, row), (width, row), LINES, 1)
        for color, thick in ((UNSEEN, 3), (INK, 1)):  # the outline makes it readable on light and on dark
            cv2.putText(picture, f"{x} m", (3, row - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, thick, cv2.LINE_AA)
    column, row = (round(metres / grid.resolution * scale) for metres in (grid.y_max, grid.x_max))
    size = max(4, height // 60)
    corners = np.array([(column, row - 2 * size), (column - size, row), (column + size, row)])
    cv2.fillConvexPoly(picture, corners, CAR, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)

from __future__ import annotations

import numpy as np
import pytest

from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.picture import LETHAL_RED, UNSEEN, colors, draw_grid

GRID = Grid(0, -10, 30, 10, 0.5)


def test_forward_is_up_and_left_is_on_the_left() -> None:
    cost = np.full(GRID.shape, UNKNOWN, np.uint8)
    cost[GRID.rows - 10 :, GRID.columns - 10 :] = 100  # far ahead, to the left
    picture = draw_grid(cost, GRID, 240)
    assert picture.shape == (240, 160, 3)
    red = (picture == LETHAL_RED).all(2)
    rows, columns = np.nonzero(red)
    assert rows.max() < 40
    assert columns.max() < 40
    assert red.sum() > 1200


def test_costs_have_different_colours() -> None:
    table = colors()
    assert len({tuple(table[cost]) for cost in (0, 60, 100, UNKNOWN)}) == 4
    assert tuple(table[UNKNOWN]) == UNSEEN


def test_cells_of_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="but the grid has"):
        draw_grid(np.zeros((3, 3), np.uint8), GRID, 100)

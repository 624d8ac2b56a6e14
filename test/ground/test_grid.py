from __future__ import annotations

import math

import numpy as np
import pytest

from unet_seg_ros.ground.grid import Grid


def test_columns_go_forward_and_rows_to_the_left() -> None:
    grid = Grid(0, -1, 3, 1, 0.5)
    assert grid.shape == (4, 6)
    points = grid.points().reshape(4, 6, 3)
    assert points[0, 0].tolist() == [0.25, -0.75, 0]
    assert points[0, 5].tolist() == [2.75, -0.75, 0]
    assert points[3, 0].tolist() == [0.25, 0.75, 0]


def test_each_point_is_inside_its_cell() -> None:
    grid = Grid(-2.3, -1.1, 3, 1, 0.1)
    points = grid.points()
    assert grid.cells(points[:, 0], points[:, 1]).tolist() == list(range(grid.rows * grid.columns))
    assert grid.cells(np.array([-2.31, 3.01, 0.0]), np.array([0.0, 0.0, 1.01])).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("area", "says"),
    [
        ((0, 0, 0, 1, 0.1), "at least one cell"),
        ((3, 0, 0, 1, 0.1), "at least one cell"),
        ((0, 0, 1, 1, 0), "finite"),
        ((0, 0, math.inf, 1, 0.1), "finite"),
        ((0, 0, 1, 1, math.nan), "finite"),
        ((0, 0, 1000, 1000, 0.01), "the limit is"),
        ((-1e308, 0.0, 1e308, 1.0, 0.2), "inf"),
        ((0.0, 0.0, 1.0, 1.0, 1e-300), "the limit is"),
    ],
)
def test_an_impossible_grid_is_refused(area: tuple[float, float, float, float, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Grid(*area)

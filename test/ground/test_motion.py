from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.motion import Memory, Place, moved

GRID = Grid(-4, -4, 4, 4, 0.5)
START = Place(10, -3, 0.4)


def with_cell(x: float, y: float, cost: int = 100) -> np.ndarray:
    cells = np.full(GRID.shape, UNKNOWN, np.uint8)
    cells.ravel()[GRID.cells(np.array([x]), np.array([y]))] = cost
    return cells


def forward(place: Place, metres: float, turn: float = 0) -> Place:
    return Place(place.x + metres * math.cos(place.yaw), place.y + metres * math.sin(place.yaw), place.yaw + turn)


def test_cells_ahead_come_nearer_as_the_car_drives() -> None:
    now = moved(with_cell(2.25, 0.25), GRID, START, GRID, forward(START, 1.5), UNKNOWN)
    assert (now == with_cell(0.75, 0.25)).all()


def test_after_a_left_turn_cells_ahead_are_on_the_right() -> None:
    now = moved(with_cell(2.25, 0.25), GRID, START, GRID, forward(START, 0, math.pi / 2), UNKNOWN)
    assert (now == with_cell(0.25, -2.25)).all()


def test_cells_that_leave_the_grid_are_lost() -> None:
    assert (moved(with_cell(-3.75, 0.25), GRID, START, GRID, forward(START, 1), UNKNOWN) == UNKNOWN).all()


@given(x=st.floats(-50, 50), y=st.floats(-50, 50), yaw=st.floats(-4, 4), far=st.floats(-2, 2), turn=st.floats(-4, 4))
@settings(deadline=None)
def test_cells_move_with_their_centres(x: float, y: float, yaw: float, far: float, turn: float) -> None:
    """Each cell takes the value of the cell that its centre, carried back by plane geometry, lies in."""
    was = Place(x, y, yaw)
    now = forward(was, far, turn)
    cells = np.arange(256, dtype=np.uint8).reshape(GRID.shape)
    got = moved(cells, GRID, was, GRID, now, 0).ravel()
    points = GRID.points()
    east = now.x + points[:, 0] * math.cos(now.yaw) - points[:, 1] * math.sin(now.yaw) - was.x
    north = now.y + points[:, 0] * math.sin(now.yaw) + points[:, 1] * math.cos(now.yaw) - was.y
    ahead = east * math.cos(yaw) + north * math.sin(yaw)
    left = north * math.cos(yaw) - east * math.sin(yaw)
    off_border = (np.abs(ahead * 2 - np.rint(ahead * 2)) > 0.02) & (np.abs(left * 2 - np.rint(left * 2)) > 0.02)
    cell = GRID.cells(ahead, left)
    expected = np.where(cell >= 0, cells.ravel()[cell], 0)
    assert (got == expected)[off_border].all()


def test_remembered_cells_stay_at_their_place_on_the_ground() -> None:
    memory, nothing = Memory(GRID, 2.0), np.full(GRID.shape, UNKNOWN, np.uint8)
    place = Place(0, 0, 0)
    assert (memory.update(with_cell(3.25, 0.25), place, 100.0) == with_cell(3.25, 0.25)).all()
    for step in range(1, 20):  # 0.1 m at a time, less than a cell: it must not stay with the car
        place = Place(0.1 * step, 0, 0)
        kept = memory.update(nothing, place, 100 + 0.1 * step)
        assert (kept == moved(with_cell(3.25, 0.25), GRID, Place(0, 0, 0), GRID, place, UNKNOWN)).all()
    assert (memory.update(nothing, place, 102.0) == UNKNOWN).all()  # forgotten after two seconds


def test_visible_cells_replace_remembered_ones() -> None:
    memory = Memory(GRID, 5.0)
    memory.update(with_cell(3.25, 0.25, 100), START, 0.0)
    assert (memory.update(with_cell(3.25, 0.25, 0), START, 1.0) == with_cell(3.25, 0.25, 0)).all()
    assert (memory.update(np.full(GRID.shape, UNKNOWN, np.uint8), START, 2.0) == with_cell(3.25, 0.25, 0)).all()


def test_a_drive_that_starts_again_clears_the_memory() -> None:
    memory, nothing = Memory(GRID, 2.0), np.full(GRID.shape, UNKNOWN, np.uint8)
    memory.update(with_cell(3.25, 0.25), START, 100.0)
    assert (memory.update(nothing, START, 99.9) != UNKNOWN).any()  # two cameras, a little out of order
    assert (memory.update(nothing, START, 10.0) == UNKNOWN).all()


def test_a_long_pause_clears_the_memory() -> None:
    memory = Memory(GRID, 2.0)
    memory.update(with_cell(1.25, 0.25), START, 0.0)
    assert (memory.update(np.full(GRID.shape, UNKNOWN, np.uint8), START, 1e9) == UNKNOWN).all()

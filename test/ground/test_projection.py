from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unet_seg_ros.ground.camera import CalibrationError, Camera
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration, View

PIN = Camera(640, 480, 400, 400, 319.5, 239.5)
LENSES = {
    "plumb_bob": (-0.25, 0.06, 0.001, -0.001, 0.0),
    "rational_polynomial": (0.4, 0.05, 0.001, -0.001, 0.005, 0.7, 0.2, 0.01),
    "equidistant": (-0.02, 0.003, -0.001, 0.0002),
}


def back(camera: Camera, pose: Pose, at: np.ndarray) -> np.ndarray:
    """Where the rays of pixels, float[n, 2], meet the ground: by OpenCV's undistortion and a line through a plane."""
    lens, stop = np.array(camera.distortion), (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 500, 1e-14)
    undistort = cv2.fisheye.undistortPoints if camera.model == "equidistant" else cv2.undistortPoints
    flat = undistort(at[:, None], camera.matrix, lens, criteria=stop).reshape(-1, 2)
    way = np.c_[flat, np.ones(len(flat))] @ pose.rotation.T
    return np.array([pose.x, pose.y, pose.z]) - pose.z / way[:, 2:] * way


@given(
    model=st.sampled_from(sorted(LENSES)),
    height=st.floats(0.5, 3),
    roll=st.floats(-0.4, 0.4),
    pitch=st.floats(0.05, 1.2),
    yaw=st.floats(-math.pi, math.pi),
)
@settings(max_examples=60, deadline=None)
def test_a_cells_centre_projected_and_back_is_the_centre(
    model: str, height: float, roll: float, pitch: float, yaw: float
) -> None:
    camera = Camera(640, 480, 300, 310, 310, 250, model, LENSES[model])
    pose = Pose.from_angles(0.5, -0.3, height, roll, pitch, yaw)
    centres = Grid(-6, -6, 6, 6, 0.5).points()
    at, seen = camera.project(pose.to_camera(centres))
    assert np.allclose(back(camera, pose, at[seen]), centres[seen], atol=1e-4)


def test_the_pixel_of_each_cell_follows_from_similar_triangles() -> None:
    """A level camera 1.5 m high sees the ground x ahead, y to the left at column cx - f y / x, row cy + 1.5 f / x."""
    grid = Grid(2, -4, 10, 4, 0.5)
    view = View(Calibration(PIN, Pose.from_angles(0, 0, 1.5, 0, 0, 0)), grid, (480, 640))
    x, y, _ = grid.points().T
    column, row = 319.5 - 400 * y / x, 239.5 + 400 * 1.5 / x
    seen = view.share > 0
    assert seen.mean() > 0.5
    rows, columns = np.divmod(view.pixel, 640)
    assert np.abs(rows - row)[seen].max() <= 0.5 + 1e-9
    assert np.abs(columns - column)[seen].max() <= 0.5 + 1e-9
    assert not seen[(row > 480) | (column < -0.5) | (column > 639.5)].any()


def test_the_weight_of_a_cell_follows_from_its_pixels() -> None:
    """A cell covers f² h / x³ pixels per square metre of ground; a cell of less than one pixel is unknown."""
    grid = Grid(2, -0.1, 40, 0.1, 0.2)
    view = View(Calibration(PIN, Pose.from_angles(0, 0, 1.5, 0, 0, 0)), grid, (480, 640))
    x = grid.points()[:, 0]
    pixels = 0.2**2 * 400**2 * 1.5 / x**3
    inside = 239.5 + 400 * 1.5 / x < 470
    expected = np.where((pixels >= 1) & inside, pixels / (pixels + 1), 0)
    assert np.allclose(view.share[inside], expected[inside], atol=0.01)
    assert 0 < x[view.share > 0].max() < 22


def test_a_view_at_half_the_size_shows_the_same_cells() -> None:
    pose, grid = Pose.from_angles(0, 0, 1.5, 0, 0.1, 0), Grid(2, -4, 8, 4, 0.5)
    full, half = (View(Calibration(PIN, pose), grid, (480 // n, 640 // n)) for n in (1, 2))
    both = (full.share > 0) & (half.share > 0)
    assert both.sum() > 50
    rows, columns = np.divmod(full.pixel[both], 640)
    half_rows, half_columns = np.divmod(half.pixel[both], 320)
    assert np.abs((rows + 0.5) / 2 - half_rows - 0.5).max() <= 0.75
    assert np.abs((columns + 0.5) / 2 - half_columns - 0.5).max() <= 0.75


@pytest.mark.parametrize("pitch", [-0.6, -math.pi / 2])
def test_a_camera_that_looks_at_the_sky_is_refused(pitch: float) -> None:
    with pytest.raises(CalibrationError, match="look at the sky"):
        View(Calibration(PIN, Pose.from_angles(0, 0, 1.5, 0, pitch, 0)), Grid(), (480, 640))


def test_a_camera_that_looks_away_from_the_grid_is_refused() -> None:
    with pytest.raises(CalibrationError, match="check its pose"):
        View(Calibration(PIN, Pose.from_angles(0, 0, 1.5, 0, 0, math.pi)), Grid(), (480, 640))


def test_rays_start_below_the_camera_and_agree_with_the_cells() -> None:
    """Along each ray, each pixel shows its point of the ground."""
    pose, grid = Pose.from_angles(1, 0.5, 1.5, 0.1, 0.15, 0.2), Grid(2, -4, 10, 4, 0.2)
    view = View(Calibration(PIN, pose), grid, (480, 640))
    rays = view.rays
    points = view.along(rays.ways[None], rays.ranges[:, None]).reshape(-1, 3)
    at, seen = PIN.project(pose.to_camera(points))
    assert (rays.seen.ravel() == seen).all()
    rows, columns = np.divmod(rays.pixel.ravel()[seen], 640)
    assert np.abs(np.stack([columns, rows], 1) - at[seen]).max() <= 0.5
    assert (np.diff(rays.ranges) > 0).all()

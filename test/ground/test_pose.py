from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.ground.camera import CalibrationError
from unet_seg_ros.ground.pose import Pose

ANGLES = st.floats(-math.pi, math.pi)


def test_a_level_camera_looks_forward() -> None:
    """10 m ahead, 2 m to the left and on the ground is 10 m deep, 2 m to the left and 1.5 m below the camera."""
    local = Pose.from_angles(1, 0, 1.5, 0, 0, 0).to_camera(np.array([(11.0, 2.0, 0.0)]))
    assert np.allclose(local, [(-2, 1.5, 10)])


@pytest.mark.parametrize(
    ("angles", "ahead"),
    [
        ((0, 0.1, 0), (math.cos(0.1), 0, -math.sin(0.1))),  # a positive pitch looks down
        ((0, 0, 0.1), (math.cos(0.1), math.sin(0.1), 0)),  # a positive yaw looks to the left
        ((0.3, 0, 0), (1, 0, 0)),  # a roll does not change where it looks
    ],
)
def test_angles_turn_as_in_urdf(angles: tuple[float, float, float], ahead: tuple[float, float, float]) -> None:
    assert np.allclose(Pose.from_angles(0, 0, 1, *angles).rotation @ (0, 0, 1), ahead)


def test_a_positive_roll_lowers_the_right_side() -> None:
    assert (Pose.from_angles(0, 0, 1, 0.1, 0, 0).rotation @ (1, 0, 0))[2] < 0


@given(roll=ANGLES, pitch=ANGLES, yaw=ANGLES)
def test_the_quaternion_equals_the_angles(roll: float, pitch: float, yaw: float) -> None:
    def about(axis: int, angle: float) -> np.ndarray:
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.eye(3)
        matrix[a, a] = matrix[b, b] = math.cos(angle)
        matrix[b, a], matrix[a, b] = math.sin(angle), -math.sin(angle)
        return matrix

    optical = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    expected = about(2, yaw) @ about(1, pitch) @ about(0, roll) @ optical
    assert np.allclose(Pose.from_angles(0, 0, 1, roll, pitch, yaw).rotation, expected, atol=1e-9)


@pytest.mark.parametrize("height", [0.0, -1.5, 31.0])
def test_a_camera_below_the_ground_is_refused(height: float) -> None:
    with pytest.raises(CalibrationError, match="above the ground"):
        Pose.from_angles(0, 0, height, 0, 0, 0)


@pytest.mark.parametrize(
    ("quaternion", "says"), [((0, 0, 0, 0), "a quaternion of length 1"), ((math.nan, 0, 0, 1), "finite")]
)
def test_an_invalid_rotation_is_refused(quaternion: tuple[float, float, float, float], says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        Pose(0, 0, 1, quaternion)

"""The pose of a camera: its place and its rotation.

Car coordinates are those of REP 103: x forward, y to the left, z up, in metres. The ground is the plane z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.camera import CalibrationError

Array = NDArray[np.float64]

LOWEST, HIGHEST = 0.05, 30.0
"""Bounds in metres of a camera's height above the ground."""

OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float64)
"""Rotation from camera coordinates (x right, y down, z forward) to the camera's body (x forward, y left, z up)."""


@dataclass(frozen=True)
class Pose:
    """The place of the camera (``x``, ``y``, ``z`` in metres) and its rotation from camera coordinates to car
    coordinates, as a ``quaternion`` (x, y, z, w) of length 1. Raises CalibrationError."""

    x: float
    y: float
    z: float
    quaternion: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.x, self.y, self.z, *self.quaternion)):
            raise CalibrationError("the camera's place and rotation must be finite numbers")
        if abs(math.sqrt(sum(q * q for q in self.quaternion)) - 1) > 1e-3:
            raise CalibrationError(f"the camera's rotation {self.quaternion} must be a quaternion of length 1")
        if not LOWEST <= self.z <= HIGHEST:
            raise CalibrationError(
                f"the camera is {self.z:g} m above the ground (z = 0 in the car's frame); "
                f"it must be from {LOWEST:g} to {HIGHEST:g} m"
            )

    @classmethod
    def from_angles(cls, x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> Pose:
        """The pose from angles in radians, as in URDF: the camera's body (x forward, y left, z up) is rotated about the
        car's x axis by ``roll``, then about its y axis by ``pitch`` (positive: the camera looks down), then about its z
        axis by ``yaw`` (positive: the camera looks to the left)."""
        (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
        body = np.array(
            [
                [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
                [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
                [-sp, cp * sr, cp * cr],
            ]
        )
        return cls(x, y, z, _quaternion(body @ OPTICAL))

    def turned(self, rotation: Array) -> Pose:
        """The pose of rectified images. ``rotation``, float64[3, 3], turns camera coordinates into theirs."""
        return Pose(self.x, self.y, self.z, _quaternion(self.rotation @ rotation.T))

    @cached_property
    def rotation(self) -> Array:
        """The rotation from camera coordinates to car coordinates, float64[3, 3]."""
        x, y, z, w = np.array(self.quaternion) / np.linalg.norm(self.quaternion)
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    def to_camera(self, points: Array) -> Array:
        """Convert points from car coordinates to camera coordinates, both float64[n, 3]."""
        return np.asarray((points - (self.x, self.y, self.z)) @ self.rotation)


def _quaternion(rotation: Array) -> tuple[float, float, float, float]:
    """The unit quaternion (x, y, z, w) of a rotation matrix, as an eigenvector of Bar-Itzhack's matrix (2000), which is
    exact for every angle."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    x, y, z, w = (float(q) for q in np.linalg.eigh(k)[1][:, -1])
    return x, y, z, w

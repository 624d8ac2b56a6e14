"""Reads the camera from a ``sensor_msgs/CameraInfo`` message, without importing ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.camera import CalibrationError, Camera


def read_camera_info(message: Any, rectified: bool) -> tuple[Camera, NDArray[np.float64]]:
    """The camera of a message, and the rotation from its frame to the frame of the images, float64[3, 3].

    If the images are ``rectified``, ``P`` and ``R`` are used instead of ``K`` and ``D``. A region of interest is taken
    into account. Binning needs no handling, since it only makes the image smaller. Raises CalibrationError.
    """
    width, height, roi = int(message.width), int(message.height), message.roi
    matrix = np.asarray(message.p, np.float64).reshape(3, 4)[:, :3] if rectified else _square(message.k)
    left = top = 0
    if roi.width and roi.height and (roi.width, roi.height) != (width, height):
        left, top, width, height = int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)
    if not matrix[0, 0]:
        raise CalibrationError("camera_info has a focal length of 0: the camera is not calibrated")
    camera = Camera(
        width,
        height,
        float(matrix[0, 0]),
        float(matrix[1, 1]),
        float(matrix[0, 2]) - left,
        float(matrix[1, 2]) - top,
        *(() if rectified else (message.distortion_model or "plumb_bob", tuple(float(d) for d in message.d))),
    )
    turn = _square(message.r) if rectified else np.eye(3)
    if not (np.abs(turn) < 2).all() or not np.allclose(turn @ turn.T, np.eye(3), atol=0.01):
        raise CalibrationError(f"R of camera_info is not a rotation: {turn.round(3).tolist()}")
    return camera, turn


def _square(numbers: Any) -> NDArray[np.float64]:
    return np.asarray(numbers, np.float64).reshape(3, 3)

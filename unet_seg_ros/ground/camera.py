"""Camera models: compute the pixel that shows a point, with the distortion models that ROS has.

Camera coordinates are those of optical frames in REP 103: x to the right, y down, z forward, in metres. The centre of
the top left pixel is (0, 0), as in OpenCV and in ``sensor_msgs/CameraInfo``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.text import one_line, quoted

Array = NDArray[np.float64]

COEFFICIENTS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8,),
    "equidistant": (0, 4),
    "fisheye": (0, 4),
}
"""The allowed numbers of coefficients of each distortion model, by the model's name in ROS. ``fisheye`` is another name
of ``equidistant`` (Kannala and Brandt 2006, as in ``cv2.fisheye``); the others are those of ``cv2.projectPoints``."""

MAX_ANGLE = math.radians(89)
"""Directions at a larger angle from the optical axis count as not seen."""
MAX_SIDE = 2**14
"""A calibration of an image with a longer side is refused."""
LARGEST = 1e6
"""A larger focal length, in pixels, or distortion coefficient is refused: powers of them would overflow."""


class CalibrationError(ValueError):
    """A calibration cannot be used. The text says in one line what is wrong and what would be right."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class Pixels(NamedTuple):
    """``at``: float64[n, 2], (column, row) of each point; ``seen``: bool[n], whether it is inside the image and at an
    angle for which the distortion model is valid. If ``seen`` is False, ``at`` has no meaning."""

    at: Array
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Camera:
    """The intrinsics in pixels of a camera with images of ``width`` × ``height``. ``distortion`` holds the coefficients
    of ``model`` in ROS's order; it is empty for rectified images. Raises CalibrationError."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE):
            raise CalibrationError(
                f"the calibration is for an image of {self.width}×{self.height}: a side must be from 1 to {MAX_SIDE}"
            )
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(number) for number in numbers):
            raise CalibrationError(f"the intrinsics and the distortion must be finite numbers, not {numbers[:12]}")
        if self.fx <= 0 or self.fy <= 0:
            raise CalibrationError(
                f"the focal lengths are {self.fx:g} and {self.fy:g} pixels: the camera is not calibrated"
            )
        if max(self.fx, self.fy, *map(abs, self.distortion)) > LARGEST:
            raise CalibrationError(f"focal lengths and distortion coefficients must be at most {LARGEST:g}")
        # the principal point may be outside a region of interest, but not far from it
        if not (-self.width <= self.cx < 2 * self.width and -self.height <= self.cy < 2 * self.height):
            raise CalibrationError(
                f"the principal point ({self.cx:g}, {self.cy:g}) is far outside the image of {self.width}×{self.height}"
            )
        allowed = COEFFICIENTS.get(self.model)
        if allowed is None:
            raise CalibrationError(
                f"unknown distortion model {quoted(self.model)}, must be one of {', '.join(COEFFICIENTS)}"
            )
        if len(self.distortion) not in allowed:
            counts = " or ".join(map(str, allowed))
            raise CalibrationError(f"{self.model} has {counts} coefficients, not {len(self.distortion)}")

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera for images that were shrunk to ``width`` × ``height``.

        Raises CalibrationError if the image is larger than that of the calibration or has another aspect ratio. The
        height may differ by one pixel because of rounding.
        """
        ratio = width / self.width
        if width > self.width or height > self.height or abs(self.height * ratio - height) > 1:
            raise CalibrationError(
                f"the images are {width}×{height}, the calibration is for {self.width}×{self.height}: it must be "
                "for the same size, or for a larger one of the same shape"
            )
        across, down = ratio, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=(self.cx + 0.5) * across - 0.5,
            cy=(self.cy + 0.5) * down - 0.5,
        )

    @property
    def matrix(self) -> Array:
        """The camera matrix, float64[3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def project(self, points: Array) -> Pixels:
        """Pixels of points in camera coordinates, float64[n, 3], metres."""
        tangent = np.hypot(points[:, 0], points[:, 1])
        near = (points[:, 2] > 0) & (tangent < self._widest() * np.maximum(points[:, 2], 0))
        ahead = np.where(near[:, None], points, (0.0, 0.0, 1.0))  # a valid point replaces each of the others
        still, lens = np.zeros(3), np.array(self.distortion or (0.0,) * 4)
        if self.model in ("equidistant", "fisheye"):
            at, _ = cv2.fisheye.projectPoints(ahead[:, None], still, still, self.matrix, lens)
        else:
            at, _ = cv2.projectPoints(ahead[:, None], still, still, self.matrix, lens)
        at = np.asarray(at, np.float64).reshape(-1, 2)
        inside = (at >= -0.5).all(1) & (at[:, 0] < self.width - 0.5) & (at[:, 1] < self.height - 0.5)
        return Pixels(at, near & inside)

    def _widest(self) -> float:
        """Tangent of the largest valid angle from the optical axis.

        Up to it, a larger angle is farther from the principal point in the image. Beyond it the polynomial of the
        distortion decreases again, so that two directions would have the same pixel.
        """
        angle = np.linspace(0, MAX_ANGLE, 4096)
        out = _radius(self.model, self.distortion, angle)
        folds = np.flatnonzero(~(np.diff(out) > 0))
        return float(np.tan(angle[folds[0] if folds.size else -1]))


def _radius(model: str, distortion: Sequence[float], angle: Array) -> Array:
    """Distance from the principal point in focal lengths, for directions at ``angle`` radians from the optical axis."""
    if model in ("equidistant", "fisheye"):
        k = np.array([1.0, *(distortion or (0.0,) * 4)])
        return np.asarray(angle * np.polynomial.polynomial.polyval(angle**2, k))
    k1, k2, _, _, k3, k4, k5, k6 = (*distortion, *(0.0,) * (8 - len(distortion)))
    tangent = np.tan(angle)
    above = np.polynomial.polynomial.polyval(tangent**2, [1, k1, k2, k3])
    below = np.polynomial.polynomial.polyval(tangent**2, [1, k4, k5, k6])
    poles = np.flatnonzero(below <= 0)
    below[poles[0] if poles.size else len(below) :] = np.inf  # the model is not valid beyond a pole
    return np.asarray(tangent * above / below)

"""An exactly known street: boxes on flat ground, as any camera sees them, and its true grid.

Independent of the package's lookup: pictures are made by casting a ray through each pixel, the truth by geometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import DEPTH
from unet_seg_ros.ground.pose import Pose

ROAD, SIDEWALK, BUILDING, SKY, PERSON, CAR = 0, 1, 2, 10, 11, 13
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A cuboid on the ground: its middle, its sides, its height (metres), its turn to the left (radians)."""

    x: float
    y: float
    long: float
    wide: float
    high: float
    yaw: float = 0.0
    label: int = CAR

    def local(self, points: Array) -> Array:
        """Points or directions, float[..., 3], turned (not shifted) into the box's own axes."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = np.moveaxis(points, -1, 0)
        return np.stack([x * cos + y * sin, y * cos - x * sin, z], -1)

    def hit(self, start: Array, way: Array) -> Array:
        """How far along ``way`` rays from ``start`` enter the box, float[...]; infinite where they miss it."""
        low, high = np.array([-self.long / 2, -self.wide / 2, 0]), np.array([self.long / 2, self.wide / 2, self.high])
        origin, ray = self.local(start - (self.x, self.y, 0)), self.local(way)
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low - origin) / ray, (high - origin) / ray
        enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)


STREET = (
    Box(9, -2.2, 4.3, 1.8, 1.5),
    Box(14, 2.4, 4.5, 1.8, 1.5, yaw=-0.15),
    Box(7.5, 3.4, 0.5, 0.5, 1.8, label=PERSON),
    Box(11.5, 0.6, 0.6, 0.6, 0.5, label=PERSON),  # low: the ground behind it is seen over its top
    Box(16, -8, 20, 4, 7, label=BUILDING),
    Box(14, 9.5, 16, 3, 7, yaw=-0.05, label=BUILDING),
    Box(-9, 1.5, 4.3, 1.8, 1.5),
    Box(0.5, -5.5, 4.3, 1.8, 1.5, yaw=0.3),
    Box(1.5, 6, 3, 1.8, 1.5),
)


def ground_class(x: Array, y: Array) -> NDArray[np.uint8]:
    """Road 4.5 m to each side, sidewalk beyond."""
    return np.where(np.abs(y) < 4.5, ROAD, SIDEWALK).astype(np.uint8)


def rays(camera: Camera) -> Array:
    """The direction of each pixel's centre in camera coordinates, float[h × w, 3]."""
    column, row = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack([column, row], -1).reshape(-1, 1, 2).astype(np.float64)
    lens = np.array(camera.distortion or (0.0,) * 4)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    if camera.model == "equidistant":
        radius = np.hypot(*((pixels[:, 0] - (camera.cx, camera.cy)) / (camera.fx, camera.fy)).T)
        angle = np.linspace(0, np.radians(95), 20000)
        theta = np.interp(radius, angle * np.polynomial.polynomial.polyval(angle**2, [1, *lens]), angle)
        flat = (pixels[:, 0] - (camera.cx, camera.cy)) / (camera.fx, camera.fy) / np.maximum(radius, 1e-12)[:, None]
        return np.concatenate([flat * np.sin(theta)[:, None], np.cos(theta)[:, None]], 1)
    flat = cv2.undistortPoints(pixels, camera.matrix, lens, criteria=stop).reshape(-1, 2)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1)


def picture(camera: Camera, pose: Pose, boxes: tuple[Box, ...] = STREET) -> NDArray[np.uint8]:
    """The true mask, uint8[h, w]: what the ray through each pixel's centre meets first."""
    way = rays(camera) @ pose.rotation.T
    eye = np.array([pose.x, pose.y, pose.z])
    with np.errstate(divide="ignore"):
        best = np.where(way[:, 2] < 0, -eye[2] / way[:, 2], np.inf)
    safe = np.where(np.isfinite(best), best, 0)
    spots = eye + safe[:, None] * way
    mask = np.where(np.isfinite(best), ground_class(spots[:, 0], spots[:, 1]), SKY).astype(np.uint8)
    for box in boxes:
        distance = box.hit(eye, way)
        mask[distance < best] = box.label
        best = np.minimum(best, distance)
    return mask.reshape(camera.height, camera.width)


def _visible(points: Array, camera: Camera, pose: Pose, boxes: tuple[Box, ...]) -> NDArray[np.bool_]:
    """Whether nothing stands between the camera and points on the ground, and they are in the image."""
    eye = np.array([pose.x, pose.y, pose.z])
    free = np.ones(len(points), np.bool_)
    for box in boxes:
        free &= box.hit(eye, points - eye) >= 1
    local = (points - eye) @ pose.rotation
    front = local[:, 2] > 1e-6
    local[~front] = (0, 0, 1)
    lens, still = np.array(camera.distortion or (0.0,) * 4), np.zeros(3)
    draw = cv2.fisheye.projectPoints if camera.model == "equidistant" else cv2.projectPoints
    at = draw(local[:, None], still, still, camera.matrix, lens)[0].reshape(-1, 2)
    inside = (at > -0.5).all(1) & (at < (camera.width - 0.5, camera.height - 0.5)).all(1)
    return free & front & inside


def truth(grid: Grid, camera: Camera, pose: Pose, boxes: tuple[Box, ...] = STREET) -> NDArray[np.uint8]:
    """The true grid, uint8[rows, columns]: costs of the ground that is visible, 100 where a visible foot is."""
    points = grid.points()
    seen = _visible(points, camera, pose, boxes)
    costs = np.where(ground_class(points[:, 0], points[:, 1]) == ROAD, 0, 60)
    cost = np.where(seen, costs, UNKNOWN).astype(np.uint8)
    angle = np.arange(-np.pi, np.pi, 0.0003)
    way = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    under = np.array([pose.x, pose.y, 0.0])
    for box in boxes:
        reach = box.hit(np.array([pose.x, pose.y, 1e-3]), way)
        met = np.isfinite(reach)
        before = under + (reach[met] - 1e-3)[:, None] * way[met]
        foot = _visible(before, camera, pose, boxes)
        for depth in np.arange(0, DEPTH, 0.02):
            deep = under + (reach[met][foot] + depth)[:, None] * way[met][foot]
            at = grid.cells(deep[:, 0], deep[:, 1])
            cost[at[at >= 0]] = 100
    return cost.reshape(grid.shape)


def iou(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Intersection over union of two sets of cells."""
    return float((found & true).sum() / (found | true).sum())

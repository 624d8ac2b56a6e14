"""The pinhole camera, and drawing into its image and its label at once.

Camera coordinates: x right, y down, z forward, metres. A pixel takes its label from where its centre looks; nothing is
antialiased, so image and label agree to the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town_ground import CELL_S, CELL_T, HALF_WIDTH
from training.town_shapes import Texture

NEAR = 0.3
"""Nothing nearer than this is drawn, metres."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels; the centre of the top left pixel is (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


@dataclass(frozen=True)
class Pose:
    """Where the camera stands: ``path_s``, ``path_x``, ``path_z`` sample the street's middle line (metres along, and
    to the right and ahead of the camera), ``path_turn`` its direction; ``height`` metres, ``pitch`` radians down."""

    path_s: Array
    path_x: Array
    path_z: Array
    path_turn: Array
    height: float
    pitch: float

    def place(self, points: Array) -> Array:
        """Street coordinates (s, t, h), float[n, 3] → camera coordinates, float[n, 3]."""
        s, t = points[:, 0], points[:, 1]
        turn = np.interp(s, self.path_s, self.path_turn)
        right = np.interp(s, self.path_s, self.path_x) + t * np.cos(turn)
        ahead = np.interp(s, self.path_s, self.path_z) - t * np.sin(turn)
        down, cos, sin = self.height - points[:, 2], np.cos(self.pitch), np.sin(self.pitch)
        return np.stack([right, down * cos - ahead * sin, ahead * cos + down * sin], 1)


class Raster:
    """One frame being drawn, far things first; ``haze`` is the colour of the distance, ``sight`` its scale in metres."""

    def __init__(self, camera: Camera, pose: Pose, haze: tuple[float, float, float], sight: float) -> None:
        self.camera, self.pose, self.haze, self.sight = camera, pose, np.asarray(haze), sight
        self.image: NDArray[np.uint8] = np.zeros((camera.height, camera.width, 3), np.uint8)
        self.label: NDArray[np.uint8] = np.zeros((camera.height, camera.width), np.uint8)
        self.horizon = int(np.clip(np.ceil(camera.cy - camera.fy * np.tan(pose.pitch) + 0.5), 0, camera.height))

    def _fog(self, distance: float) -> float:
        return 1 - float(np.exp(-distance / self.sight))

    def _pixels(self, points: Array) -> Array:
        camera = self.camera
        return points[:, :2] / points[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)

    def ground(self, color: NDArray[np.uint8], label: NDArray[np.uint8], start: float) -> None:
        """Everything below the horizon, from the ground seen from above: uint8[S, T, 3], uint8[S, T] from ``start``."""
        camera, pose = self.camera, self.pose
        rows = np.arange(self.horizon, camera.height)
        if not rows.size:
            return
        y = (rows - camera.cy) / camera.fy
        cos, sin = np.cos(pose.pitch), np.sin(pose.pitch)
        scale = pose.height / np.maximum(y * cos + sin, 1e-4)
        ahead = scale * (cos - y * sin)
        turn = np.interp(ahead, pose.path_z, pose.path_turn)
        x = (np.arange(camera.width) - camera.cx) / camera.fx
        off = scale[:, None] * x - np.interp(ahead, pose.path_z, pose.path_x)[:, None]
        s = np.interp(ahead, pose.path_z, pose.path_s)[:, None] + off * np.sin(turn)[:, None] - start
        across = ((off * np.cos(turn)[:, None] + HALF_WIDTH) / CELL_T - 0.5).astype(np.float32)
        along = (s / CELL_S - 0.5).astype(np.float32)
        edge = cv2.BORDER_REPLICATE
        self.label[self.horizon :] = cv2.remap(label, across, along, cv2.INTER_NEAREST, borderMode=edge)
        coarse = np.clip(np.log(np.gradient(-ahead) / CELL_S if rows.size > 1 else np.ones(1)) / np.log(4), 0, 3)
        for level in range(4):  # far rows look at the mean of many ground pixels along the street
            here = np.flatnonzero(coarse.astype(int) == level)
            if here.size:
                if level:
                    color = cv2.resize(
                        color, (color.shape[1], max(1, color.shape[0] // 4)), interpolation=cv2.INTER_AREA
                    )
                low, high = int(here[0]), int(here[-1]) + 1
                v = (along[low:high] + 0.5) / 4**level - 0.5
                self.image[self.horizon + low : self.horizon + high] = cv2.remap(
                    color, across[low:high], v, cv2.INTER_LINEAR, borderMode=edge
                )
        clear = np.exp(-ahead / self.sight)[:, None, None].astype(np.float32)
        below = self.image[self.horizon :]
        below[:] = below * clear + self.haze.astype(np.float32) * (1 - clear)

    def shadow(self, points: Array, factor: float) -> None:
        """Darken a polygon on the ground (camera coordinates, float[n, 3])."""
        pixels = self._outline(points)
        if pixels is None:
            return
        low, high = np.maximum(pixels.min(0) // 16, 0), pixels.max(0) // 16 + 2
        part = self.image[low[1] : high[1], low[0] : high[0]]
        if part.size:
            mask = np.zeros(part.shape[:2], np.uint8)
            cv2.fillConvexPoly(mask, (pixels - 16 * low).astype(np.int32), (1,), cv2.LINE_8, 4)
            cv2.copyTo(cv2.convertScaleAbs(part, alpha=factor), mask, part)

    def _outline(self, points: Array) -> NDArray[np.int64] | None:
        """The polygon cut off at NEAR, as pixels × 16; None if nothing is left or it is far outside the image."""
        if (points[:, 2] < NEAR).any():
            kept = []
            for a, b in zip(points, np.roll(points, -1, 0), strict=True):
                if a[2] >= NEAR:
                    kept.append(a)
                if (a[2] >= NEAR) != (b[2] >= NEAR):
                    kept.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
            if len(kept) < 3:
                return None
            points = np.array(kept)
        pixels = self._pixels(points)
        outside = (pixels.max(0) < 0).any() or (pixels.min(0) > (self.camera.width, self.camera.height)).any()
        return None if outside else np.round(np.clip(pixels, -30000, 30000) * 16).astype(np.int64)

    def polygon(self, points: Array, color: Array, label: int, distance: float) -> None:
        """A convex polygon (camera coordinates, float[n, 3]) of one RGB colour."""
        pixels = self._outline(points)
        if pixels is not None:
            fog = self._fog(distance)
            tone = np.clip(color * (1 - fog) + self.haze * fog, 0, 255).tolist()
            cv2.fillConvexPoly(self.image, pixels.astype(np.int32), tone, cv2.LINE_8, 4)
            cv2.fillConvexPoly(self.label, pixels.astype(np.int32), (label,), cv2.LINE_8, 4)

    def panel(self, corners: Array, texture: Texture, distance: float, light: float = 1) -> None:
        """A texture on the parallelogram with these top left, top right and bottom left corners, float[3, 3]."""
        camera, origin, u, v = self.camera, corners[0], corners[1] - corners[0], corners[2] - corners[0]
        rows, columns = texture.label.shape
        nearest, slope = origin[2] + min(0.0, v[2]), u[2]
        first, last = 0, columns  # the texture columns that are wholly in front of the camera
        if min(nearest, nearest + slope) < NEAR:
            if max(nearest, nearest + slope) <= NEAR:
                return
            cut = (NEAR - nearest) / slope * columns
            first, last = (int(np.ceil(cut)), columns) if slope > 0 else (0, int(cut))
            if first >= last:
                return
        ends = np.array([first, last]) / columns
        quad = np.array([origin + a * u + b * v for a in ends for b in (0, 1)])
        pixels = self._pixels(quad)
        left, top = np.maximum(np.floor(pixels.min(0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(pixels.max(0)) + 1, (camera.width, camera.height)).astype(int)
        if right <= left or bottom <= top:
            return
        matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
        forward = matrix @ np.stack([u, v, origin], 1)
        if abs(np.linalg.det(forward)) < 1e-6:
            return
        pixel_to_uv = np.linalg.inv(forward) @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
        size, flags = (int(right - left), int(bottom - top)), cv2.WARP_INVERSE_MAP
        to_label = np.array([[columns, 0, -0.5 - first], [0, rows, -0.5], [0, 0, 1]]) @ pixel_to_uv
        label = cv2.warpPerspective(texture.label[:, first:last], to_label, size, flags=flags | cv2.INTER_NEAREST)
        span = pixels.max(0) - pixels.min(0)
        shrink = np.sqrt((last - first) * rows / max(1.0, float(span[0] * span[1])))
        level = int(np.clip(np.log2(max(shrink, 1)) + 0.3, 0, len(texture.levels) - 1))
        source = texture.levels[level]
        to_color = np.array([[source.shape[1], 0, -0.5], [0, source.shape[0], -0.5], [0, 0, 1]]) @ pixel_to_uv
        color = cv2.warpPerspective(
            source, to_color, size, flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        fog = self._fog(distance)
        color = cv2.add(cv2.convertScaleAbs(color, alpha=light * (1 - fog)), (*(self.haze * fog).tolist(), 0))
        mask = (label > 0).astype(np.uint8)
        cv2.copyTo(color, mask, self.image[top:bottom, left:right])
        cv2.copyTo(label, mask, self.label[top:bottom, left:right])

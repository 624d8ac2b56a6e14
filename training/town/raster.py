"""A pinhole camera, and functions that draw into its image and its label image in one call.

Camera coordinates are x to the right, y down and z forward, in metres. A pixel gets the label of the object that its
centre shows. Nothing is antialiased, so image and label agree in every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.ground import CELL_S, CELL_T, HALF_WIDTH, Ground
from training.town.shapes import Texture

NEAR = 0.3
"""Objects nearer than this distance are not drawn, metres."""
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
    """The pose of the camera. ``path_s``, ``path_x``, ``path_z`` are points of the street's middle line (metres along
    it, and to the right and ahead of the camera), ``path_turn`` is its direction there; ``height`` is in metres and
    ``pitch`` in radians, positive downwards."""

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
    """A frame while it is drawn, the farthest objects first. ``haze`` is the colour that distant objects
    take on, ``sight`` the distance in metres over which they do."""

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

    def sees(self, points: Array) -> NDArray[np.bool_]:
        """Which of the point sets float[..., n, 3] are not wholly behind the camera or beside the image."""
        camera, (x, z) = self.camera, (points[..., 0], points[..., 2])
        left = (camera.fx * x + (camera.cx + 1) * z < 0).all(-1)
        right = (camera.fx * x + (camera.cx - camera.width) * z > 0).all(-1)
        return np.asarray((z > NEAR).any(-1) & ~left & ~right)

    def ground(self, ground: Ground) -> None:
        """Draw the ground: everything below the horizon."""
        camera, pose = self.camera, self.pose
        rows = np.arange(self.horizon, camera.height)
        if not rows.size:
            return
        y = (rows - camera.cy) / camera.fy
        cos, sin = np.cos(pose.pitch), np.sin(pose.pitch)
        scale = pose.height / np.maximum(y * cos + sin, 1e-4)
        ahead = scale * (cos - y * sin)
        turn = np.interp(ahead, pose.path_z, pose.path_turn)[:, None]
        x = (np.arange(camera.width) - camera.cx) / camera.fx
        off = scale[:, None] * x - np.interp(ahead, pose.path_z, pose.path_x)[:, None]
        s = np.interp(ahead, pose.path_z, pose.path_s)[:, None] - ground.start + off * np.sin(turn)
        across = ((off * np.cos(turn) + HALF_WIDTH) / CELL_T - 0.5).astype(np.float32)
        along = (s / CELL_S - 0.5).astype(np.float32)
        edge = cv2.BORDER_REPLICATE
        self.label[self.horizon :] = cv2.remap(ground.label, across, along, cv2.INTER_NEAREST, borderMode=edge)
        steps = -np.gradient(ahead) if rows.size > 1 else np.ones(1)
        coarse = np.clip(np.log(np.maximum(steps, 1e-3) / CELL_S) / np.log(4), 0, len(ground.levels) - 1).astype(int)
        for level, color in enumerate(ground.levels):
            here = np.flatnonzero(coarse == level)
            if here.size:
                part = slice(int(here[0]), int(here[-1]) + 1)
                v = (along[part] + 0.5) / 4**level - 0.5
                seen = cv2.remap(color, across[part], v, cv2.INTER_LINEAR, borderMode=edge)
                self.image[self.horizon + part.start : self.horizon + part.stop] = seen
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
            cv2.fillConvexPoly(mask, pixels - 16 * low, (1,), cv2.LINE_8, 4)
            cv2.copyTo(cv2.convertScaleAbs(part, alpha=factor), mask, part)

    def _outline(self, points: Array) -> NDArray[np.int32] | None:
        """The polygon, clipped at distance ``NEAR``, in sixteenths of a pixel; None if nothing is in the image."""
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
        return None if outside else np.round(np.clip(pixels, -30000, 30000) * 16).astype(np.int32)

    def mesh(self, points: Array, starts: NDArray[np.int64], colors: Array, label: int, distance: float) -> None:
        """Draw convex faces ``points[starts[i]:starts[i + 1]]`` (camera coordinates, float[n, 3]) in RGB ``colors[i]``.

        A face is drawn only if its outside faces the camera. The outside is its right-handed side, with height upwards.
        """
        fog = self._fog(distance)
        tones = np.clip(colors * (1 - fog) + self.haze * fog, 0, 255).tolist()
        a, b, c = (points[starts[:-1] + i] for i in range(3))
        facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) > 0
        whole = bool((points[:, 2] >= NEAR).all())
        pixels = np.round(np.clip(self._pixels(points), -30000, 30000) * 16).astype(np.int32) if whole else None
        for i in np.flatnonzero(facing):
            face = slice(starts[i], starts[i + 1])
            outline = pixels[face] if pixels is not None else self._outline(points[face])
            if outline is not None:
                cv2.fillConvexPoly(self.image, outline, tones[i], cv2.LINE_8, 4)
                cv2.fillConvexPoly(self.label, outline, (label,), cv2.LINE_8, 4)

    def panel(self, corners: Array, texture: Texture, distance: float, light: float) -> None:
        """Draw a texture on a parallelogram; ``corners`` are top left, top right and bottom left, float[3, 3]."""
        camera, origin, u, v = self.camera, corners[0], corners[1] - corners[0], corners[2] - corners[0]
        columns = texture.label.shape[1]
        nearest, slope = float(origin[2] + min(0.0, v[2])), float(u[2])
        first, last = 0, columns  # the texture columns that are wholly in front of the camera
        if min(nearest, nearest + slope) < NEAR:
            if max(nearest, nearest + slope) <= NEAR:
                return
            cut = (NEAR - nearest) / slope * columns
            first, last = (int(np.ceil(cut)), columns) if slope > 0 else (0, int(cut))
        if first >= last:
            return
        ends = np.array([first, first, last, last])[:, None] / columns
        pixels = self._pixels(origin + ends * u + np.array([[0], [1], [0], [1]]) * v)
        lens = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
        uv_to_pixel = lens @ np.stack([u, v, origin], 1)
        if abs(np.linalg.det(uv_to_pixel)) > 1e-6:  # else seen edge-on
            low, high = pixels.min(0).tolist(), pixels.max(0).tolist()
            self._texture(texture, (first, last), (*low, *high), np.linalg.inv(uv_to_pixel), distance, light)

    def picture(self, foot: Array, width: float, height: float, texture: Texture, distance: float) -> None:
        """Draw a texture that faces the camera; ``foot`` (float[3], metres) is the middle of its lower edge."""
        camera, (x, y, z) = self.camera, foot.tolist()
        left, top = camera.fx * (x - width / 2) / z + camera.cx, camera.fy * (y - height) / z + camera.cy
        wide, high = camera.fx * width / z, camera.fy * height / z
        pixel_to_uv = np.array([[1 / wide, 0, -left / wide], [0, 1 / high, -top / high], [0, 0, 1]])
        box = (left, top, left + wide, top + high)
        self._texture(texture, (0, texture.label.shape[1]), box, pixel_to_uv, distance, 1)

    def _texture(self, texture: Texture, columns: tuple[int, int], box: tuple[float, float, float, float],
                 pixel_to_uv: Array, distance: float, light: float) -> None:  # fmt: skip
        """Draw some columns of a texture into the ``box`` (left, top, right, bottom); ``pixel_to_uv`` is the homography
        from pixels to 0..1 across and down the texture."""
        left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
        right = min(self.camera.width, int(np.ceil(box[2])) + 1)
        bottom = min(self.camera.height, int(np.ceil(box[3])) + 1)
        if right <= left or bottom <= top:
            return
        texels = (columns[1] - columns[0]) * texture.label.shape[0] / max(1.0, (box[2] - box[0]) * (box[3] - box[1]))
        level = min(len(texture.levels) - 1, max(0, int(0.5 * np.log2(texels) + 0.3)))

        def warp(source: NDArray[np.uint8], size: tuple[int, ...], skip: int, how: int, edge: int) -> NDArray[np.uint8]:
            rows = [pixel_to_uv[0] * size[1] - (0.5 + skip) * pixel_to_uv[2], pixel_to_uv[1] * size[0]]
            matrix = np.stack([rows[0], rows[1] - 0.5 * pixel_to_uv[2], pixel_to_uv[2]])
            matrix[:, 2] += matrix[:, 0] * left + matrix[:, 1] * top
            flags = cv2.WARP_INVERSE_MAP | how
            warped = cv2.warpPerspective(source, matrix, (right - left, bottom - top), flags=flags, borderMode=edge)
            return np.asarray(warped, np.uint8)

        shape, source = texture.label.shape, texture.levels[level]
        label = warp(texture.label[:, slice(*columns)], shape, columns[0], cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        color = warp(source, source.shape, 0, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        fog, part = self._fog(distance), self.image[top:bottom, left:right]
        tones = np.minimum(np.arange(256)[:, None] * (light * (1 - fog)) + self.haze * fog, 255).astype(np.uint8)
        seen = cv2.LUT(color[..., :3], tones[None])
        if color.shape[2] == 4:
            cover = color[..., 3:] * np.float32(1 / 255)
            seen = (seen * cover + part * (1 - cover)).astype(np.uint8)
        cv2.copyTo(seen, label, part)
        cv2.copyTo(label, label, self.label[top:bottom, left:right])

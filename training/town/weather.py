"""Light, sky, skyline and sensor of a drive through the synthetic town."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.raster import Raster
from training.town.shapes import GREENS, ID, Color, noise, pick
from training.town.world import VIEW

AZIMUTHS = 3600
"""Number of directions, all around, in which the skyline has a height."""


class Weather:
    """Light, sky, skyline and sensor of one drive."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        grey = float(rng.uniform(0, 1))  # overcast
        zenith = np.array([70, 120, 196]) * (1 - grey) + np.array([168, 174, 182]) * grey
        low = np.array([196, 214, 232]) * (1 - grey) + np.array([214, 216, 218]) * grey
        self.zenith, self.low = zenith + rng.normal(0, 8, 3), low + rng.normal(0, 6, 3)
        glare = float(rng.choice([1.0, rng.uniform(0.7, 1.4)]))
        self.zenith, self.low = self.zenith * glare, self.low * glare
        self.white = (0.4 * self.low + 146 * glare).astype(np.float32)
        billow = cv2.GaussianBlur(noise(), (0, 0), 5)
        self.cloud = np.clip(float(rng.uniform(0.4, 1)) * billow + float(rng.uniform(-1, 1)), 0, 1)
        self.sight = float(rng.choice([rng.uniform(120, 300), rng.uniform(300, 1500)]))
        haze = np.clip(0.92 * self.low, 0, 235)
        self.haze: Color = (float(haze[0]), float(haze[1]), float(haze[2]))
        self._skyline(rng)
        gain, gamma = float(rng.uniform(0.6, 1.25)), float(rng.uniform(0.75, 1.35))
        self.ambient = float(rng.choice([1.0, rng.uniform(0.35, 1.0)]))
        cast, offset = rng.normal(1, 0.035, 3), float(rng.uniform(-8, 14))
        curve = np.linspace(0, 1, 256)[:, None] ** gamma * 255 * gain * cast + offset
        self.curve = np.clip(curve, 0, 255).astype(np.uint8)[None]
        self.blur = float(rng.uniform(0.35, 0.9)) * max(1.0, size[1] / 640)
        strength = float(rng.uniform(1, 6))
        self.noise = rng.normal(0, strength, (size[0] + 32, size[1] + 32, 3)).astype(np.int16)

    def _skyline(self, rng: np.random.Generator) -> None:
        """Choose the skyline: for each direction its height (tangent of the angle), its label and its colour."""
        wave = noise()[500, np.arange(AZIMUTHS) % 1024]
        hills = rng.uniform(0.01, 0.06) + 0.012 * np.abs(wave)
        self.rise = np.asarray(hills, np.float64)
        self.rise_label = np.full(AZIMUTHS, ID["vegetation"], np.uint8)
        self.rise_color = np.asarray(pick(rng, GREENS)) * (1 + 0.08 * wave[:, None])
        at = 0
        while at < AZIMUTHS:
            wide = int(rng.integers(15, 70))
            if rng.random() < 0.5:
                self.rise[at : at + wide] = rng.uniform(0.02, 0.13)
                self.rise_label[at : at + wide] = ID["building"]
                self.rise_color[at : at + wide] = rng.uniform(80, 190) + rng.normal(0, 10, 3)
            at += wide
        fog = 1 - np.exp(-VIEW / self.sight)
        self.rise_color = self.rise_color * (1 - fog) + np.asarray(self.haze) * fog

    def backdrop(self, raster: Raster, heading: float) -> None:
        """Draw sky and skyline above the horizon, for a camera that looks towards ``heading`` (radians)."""
        lens, end = raster.camera, raster.horizon
        if not end:
            return
        azimuth = heading + np.arctan((np.arange(lens.width) - lens.cx) / lens.fx)
        column = np.floor(azimuth / (2 * np.pi) * AZIMUTHS).astype(int) % AZIMUTHS
        up = np.tan(raster.pose.pitch) + (lens.cy - np.arange(end)) / lens.fy
        mix = np.clip(up * 1.6, 0, 1)[:, None]
        shades = (self.low * (1 - mix) + self.zenith * mix).astype(np.float32)[:, None]
        # Clouds lie on a plane above the town, so they are smaller and closer together towards the horizon.
        depth = 1 / (0.15 + np.maximum(up, 0))
        across = np.clip(512 + 130 * np.outer(depth, np.sin(azimuth) / np.cos(azimuth - heading)), 0, 1022)
        along = np.clip(150 + 130 * np.outer(depth, np.cos(azimuth) / np.cos(azimuth - heading)), 0, 1022)
        cloud = cv2.remap(self.cloud, across.astype(np.float32), along.astype(np.float32), cv2.INTER_LINEAR)
        cover = cloud[..., None]
        sky = shades + (self.white - shades) * cover
        behind = up[:, None] < self.rise[column]
        raster.image[:end] = np.clip(np.where(behind[..., None], self.rise_color[column], sky), 0, 255)
        raster.label[:end] = np.where(behind, self.rise_label[column], ID["sky"])

    def expose(self, image: NDArray[np.uint8], label: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture that the sensor takes: exposure, blur, tone curve and noise. ``image`` is overwritten."""
        if self.ambient < 1:
            scene = (label != ID["sky"]).astype(np.uint8)
            cv2.copyTo(cv2.convertScaleAbs(image, alpha=self.ambient), scene, image)
        image = np.asarray(cv2.LUT(cv2.GaussianBlur(image, (0, 0), self.blur), self.curve), np.uint8)
        row, col = (int(n) for n in rng.integers(0, 32, 2))
        height, width = image.shape[:2]
        return np.asarray(cv2.add(image, self.noise[row : row + height, col : col + width], dtype=cv2.CV_8U), np.uint8)

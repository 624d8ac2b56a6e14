"""Corruptions of one frame in five severities: the fifteen of Hendrycks & Dietterich 2019 (arXiv:1903.12261) and eight
that occur in the camera of a car.

Each function takes a frame uint8[H, W, 3] RGB, a severity from 1 to 5 and a random generator, and returns a frame of
the same shape. The severities of the fifteen are those of the paper. The paper's images of frost are not available, so
frost is drawn here. Corruptions over several frames (a frozen camera, dirt that stays) are in ``measure``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Floats = NDArray[Any]
Corruption = Callable[[Frame, int, np.random.Generator], Frame]


def _bytes(values: Floats) -> Frame:
    """0..1 → 0..255, clipped."""
    return np.asarray(np.clip(values, 0, 1) * 255 + 0.5, np.uint8)


def _unit(frame: Frame) -> Floats:
    return np.asarray(frame, np.float32) / 255


def gaussian_noise(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    scale = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return _bytes(_unit(frame) + scale * rng.standard_normal(frame.shape, np.float32))


def shot_noise(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return _bytes(rng.poisson(_unit(frame) * photons) / photons)


def impulse_noise(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    dice = rng.random(frame.shape, np.float32)
    return np.where(dice < share / 2, 0, np.where(dice > 1 - share / 2, 255, frame)).astype(np.uint8)


def defocus_blur(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    radius = (3, 4, 6, 8, 10)[severity - 1]
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.float32)
    return np.asarray(cv2.filter2D(frame, -1, disk / disk.sum()), np.uint8)


def _displaced(frame: Frame, dx: Floats, dy: Floats) -> Frame:
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(frame, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


def glass_blur(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    sigma, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)
    for _ in range(times):
        dx, dy = (rng.integers(-reach, reach + 1, frame.shape[:2]).astype(np.float32) for _ in range(2))
        frame = _displaced(frame, dx, dy)
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def motion_blur(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    along = np.arange(-radius, radius + 1)
    weights = np.exp(-(along**2) / (2 * sigma**2))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    angle = np.deg2rad(rng.uniform(-45, 45))
    columns, rows = (np.rint(radius + along * f(angle)).astype(int) for f in (np.cos, np.sin))
    np.add.at(kernel, (rows, columns), weights)
    return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum()), np.uint8)


def zoom_blur(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    last, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    height, width = frame.shape[:2]
    zooms = np.arange(1, last, step)
    total = _unit(frame)
    for zoom in zooms:
        total = total + _unit(_zoomed(frame, float(zoom), width, height))
    return _bytes(total / (len(zooms) + 1))


def _zoomed(frame: Frame, zoom: float, width: int, height: int) -> Frame:
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom)
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def snow(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    mean, spread, zoom, least, radius, sigma, mix = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    height, width = frame.shape[:2]
    flakes: Floats = rng.normal(mean, spread, (height, width)).astype(np.float32)
    flakes = cv2.warpAffine(flakes, cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom), (width, height))
    flakes[flakes < least] = 0
    along = np.arange(-radius, radius + 1)
    kernel = np.diag(np.exp(-(along**2) / (2 * sigma**2))).astype(np.float32)
    if rng.random() < 0.5:
        kernel = kernel[::-1]
    fallen = cv2.filter2D(np.clip(flakes, 0, 1), -1, np.ascontiguousarray(kernel / kernel.sum()))
    unit = _unit(frame)
    grey = cv2.cvtColor(unit, cv2.COLOR_RGB2GRAY)[..., None]
    pale = mix * unit + (1 - mix) * np.maximum(unit, grey * 1.5 + 0.5)
    return _bytes(pale + (fallen + fallen[::-1, ::-1])[..., None])


def frost(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    keep, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    height, width = frame.shape[:2]
    crystals = plasma(height, width, 1.6, rng)
    needles = cv2.GaussianBlur(rng.random((height, width), np.float32), (0, 0), 1.2)
    needles = np.clip((needles - needles.mean()) / (needles.std() + 1e-6), 0, 3) / 3
    sheet = np.clip(1.6 * crystals - 0.3, 0, 1) * (0.75 + 0.5 * needles)
    return _bytes(keep * _unit(frame) + ice * sheet[..., None] * np.array([0.85, 0.95, 1.0], np.float32))


def plasma(height: int, width: int, decay: float, rng: np.random.Generator) -> Floats:
    """A cloudy pattern float32[height, width], 0..1: a sum of noise with finer and finer grain, each ``decay`` times
    weaker."""
    total = np.zeros((height, width), np.float32)
    weight, cells = 1.0, 2
    while cells < max(height, width):
        coarse = rng.random((cells, cells), np.float32)
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight / decay, cells * 2
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low)


def fog(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    thick, decay = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    unit = _unit(frame)
    top = float(unit.max())
    mist = plasma(frame.shape[0], frame.shape[1], decay, rng)[..., None]
    return _bytes((unit + thick * mist) * top / (top + thick))


def brightness(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    hsv = cv2.cvtColor(_unit(frame), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + severity / 10, 0, 1)
    return _bytes(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def contrast(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    unit = _unit(frame)
    mean = unit.mean(axis=(0, 1))
    return _bytes((unit - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1] + mean)


def elastic_transform(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    reach, smooth = ((12, 6), (10, 4), (9, 3), (10, 2.5), (12, 2.2))[severity - 1]
    size = frame.shape[:2]
    dx, dy = (cv2.GaussianBlur(rng.uniform(-1, 1, size).astype(np.float32), (0, 0), smooth) for _ in range(2))
    return _displaced(frame, reach * dx * smooth / 2, reach * dy * smooth / 2)


def pixelate(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (int(width * share), int(height * share)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def jpeg_compression(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    quality = (25, 18, 15, 10, 7)[severity - 1]
    _, packed = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def dark(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """An exposure that is too short: fewer electrons with the same reading noise, in 8 bits."""
    gain = (0.35, 0.22, 0.12, 0.06, 0.03)[severity - 1]
    return _bytes(gain * _unit(frame) + 0.006 * rng.standard_normal(frame.shape, np.float32))


def washed_out(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """An exposure that is too long, or the sun in the lens: most of the image is white."""
    gain, veil = ((1.6, 0.05), (2.2, 0.1), (3.0, 0.2), (4.5, 0.3), (7.0, 0.4))[severity - 1]
    return _bytes(gain * _unit(frame) + veil)


def color_cast(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """A wrong white balance: one channel is too strong, another one too weak."""
    strength = (0.15, 0.25, 0.4, 0.55, 0.7)[severity - 1]
    gains = np.ones(3, np.float32)
    strong, weak = rng.permutation(3)[:2]
    gains[strong], gains[weak] = 1 + strength, 1 - strength
    return _bytes(_unit(frame) * gains)


def wrong_bayer(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """The sensor's mosaic RGGB is decoded in a wrong order; a higher severity mixes in more of the wrong image."""
    mosaic = frame[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = frame[::2, ::2, 0], frame[1::2, 1::2, 2]
    codes = (cv2.COLOR_BayerRG2RGB, cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGB2RGB)  # OpenCV's names are shifted by one
    wrong = cv2.cvtColor(mosaic, codes[int(rng.integers(3))])
    share = (0.3, 0.5, 0.8, 1.0, 1.0)[severity - 1]
    return _bytes((1 - share) * _unit(frame) + share * _unit(np.asarray(wrong, np.uint8)))


def tearing(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """Below a row, the image is shifted sideways, as if lines were lost in the transfer."""
    shift = int(frame.shape[1] * (0.03, 0.08, 0.15, 0.25, 0.4)[severity - 1])
    row = int(frame.shape[0] * rng.uniform(0.3, 0.7))
    torn: Frame = frame.copy()
    torn[row:] = np.roll(frame[row:], shift if rng.random() < 0.5 else -shift, axis=1)
    return torn


def half_frame(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """The lower part is missing: it is grey as from a JPEG decoder, black, green as empty YUV, or repeats the last
    row."""
    row = int(frame.shape[0] * (0.9, 0.8, 0.65, 0.5, 0.3)[severity - 1])
    cut: Frame = frame.copy()
    fills = (np.array([128, 128, 128]), np.array([0, 0, 0]), np.array([0, 135, 0]), frame[row - 1])
    cut[row:] = fills[int(rng.integers(len(fills)))]
    return cut


def spots(height: int, width: int, share: float, rng: np.random.Generator) -> Floats:
    """The share of the light that passes dirt on the lens, float32[height, width], 0..1: soft spots on ``share`` of the
    image."""
    cloud = plasma(height, width, 1.5, rng)
    edge = float(np.quantile(cloud, 1 - share))
    softness = 0.06
    return np.clip((edge - cloud) / softness + 0.5, 0, 1).astype(np.float32)


def dirtied(frame: Frame, passing: Floats, tone: Floats) -> Frame:
    """A frame seen through dirt: where no light passes, it shows a mix of the blurred scene and the colour ``tone`` of
    the dirt (RGB 0..1)."""
    blurred = cv2.GaussianBlur(_unit(frame), (0, 0), max(2.0, frame.shape[0] / 24))
    veil = 0.25 * blurred + 0.75 * tone * float(blurred.mean()) * 2
    return _bytes(passing[..., None] * _unit(frame) + (1 - passing[..., None]) * veil)


DIRT_SHARE = (0.06, 0.12, 0.22, 0.35, 0.55)


def dirt(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """Mud on the lens."""
    passing = spots(frame.shape[0], frame.shape[1], DIRT_SHARE[severity - 1], rng)
    return dirtied(frame, passing, np.array([0.42, 0.34, 0.26], np.float32))


def obstruction(frame: Frame, severity: int, rng: np.random.Generator) -> Frame:
    """A dark object close to the lens, out of focus, covers one side."""
    share = (0.1, 0.2, 0.35, 0.55, 0.85)[severity - 1]
    height, width = frame.shape[:2]
    side = int(rng.integers(3))  # left, right, top
    ramp = np.linspace(0, 1, height)[:, None] if side == 2 else np.linspace(0, 1, width)[None]
    ramp = np.broadcast_to(1 - ramp if side == 1 else ramp, (height, width))
    wave = 0.1 * (plasma(height, width, 2.0, rng) - 0.5)
    passing = np.clip((ramp + wave - share) / 0.04, 0, 1).astype(np.float32)
    return _bytes(passing[..., None] * _unit(frame) + 0.04 * (1 - passing[..., None]))


PAPER: dict[str, Corruption] = {
    f.__name__: f
    for f in (
        gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow, frost, fog,
        brightness, contrast, elastic_transform, pixelate, jpeg_compression,
    )
}  # fmt: skip
"""The paper's fifteen by name."""
CAMERA: dict[str, Corruption] = {
    f.__name__: f for f in (dark, washed_out, color_cast, wrong_bayer, tearing, half_frame, dirt, obstruction)
}
"""Corruptions that occur in the camera of a car, by name."""
CORRUPTIONS = {**PAPER, **CAMERA}
SEVERITIES = (1, 2, 3, 4, 5)

"""Random changes of an image after which its label is still right: position, size, light and camera."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.config import AugmentConfig
from unet_seg_ros.data.labels import VOID
from unet_seg_ros.model.bundle import MEAN_COLOR

Image = NDArray[np.uint8]
BLUR = (0.4, 1.6)
"""Range of a blur's standard deviation in pixels."""
SHARPEN = (0.3, 1.5)
"""Range of the strength of an unsharp mask of one pixel."""
SOFT = (0.35, 0.8)
"""Range of the share of columns that a soft image keeps."""
JPEG_QUALITY = (25, 90)
NOISE = (1.0, 10.0)
"""Range of the noise's standard deviation in grey levels."""


def crop_at_scale(
    image: Image,
    label: Image,
    size: tuple[int, int],
    scales: tuple[float, float],
    at: Sequence[float] | NDArray[np.float64],
) -> tuple[Image, Image]:
    """A window of ``size`` of the image, magnified by ``scales``. Outside the image it holds the mean colour and void.

    Sizes, scales and ``at`` are (vertical, horizontal); ``at`` (each 0..1) is the window's
    position, from the top left to the bottom right.
    """
    window = [max(1, round(length / scale)) for length, scale in zip(size, scales, strict=True)]
    missing = [max(0, w - have) for w, have in zip(window, label.shape, strict=True)]
    start = [round(f * (have + m - w)) - m // 2 for f, have, m, w in zip(at, label.shape, missing, window, strict=True)]
    stop = [s + w for s, w in zip(start, window, strict=True)]
    inside = tuple(slice(max(0, a), min(b, have)) for a, b, have in zip(start, stop, label.shape, strict=True))
    border = [b for a, e, have in zip(start, stop, label.shape, strict=True) for b in (max(0, -a), max(0, e - have))]
    top, bottom, left, right = border
    fill = cv2.BORDER_CONSTANT
    window_image = cv2.copyMakeBorder(image[inside], top, bottom, left, right, fill, value=MEAN_COLOR)
    window_label = cv2.copyMakeBorder(label[inside], top, bottom, left, right, fill, value=VOID)
    shrink_or_grow = cv2.INTER_AREA if min(scales) < 1 else cv2.INTER_LINEAR
    image_out = cv2.resize(window_image, size[::-1], interpolation=shrink_or_grow)
    label_out = cv2.resize(window_label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(image_out, np.uint8), np.asarray(label_out, np.uint8)


def jitter_color(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Random brightness, contrast, saturation and white balance, each by up to ``strength`` (0..1).

    All of them are linear in a pixel's colour, so one 3×4 matrix applies them together.
    """
    gain, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    scale = gain * (1 + rng.uniform(-strength, strength, 3) * 0.3)
    gray = np.full((3, 3), 1 / 3)
    colors = contrast * (saturation * (np.eye(3) - gray) + gray)
    mean = np.full((3, 1), (1 - contrast) * float(np.mean(cv2.mean(image)[:3])))
    return np.asarray(cv2.transform(image, scale[:, None] * np.hstack([colors, mean])), np.uint8)


def change_gamma(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Raise values (0..1) to a random power from 1 / (1 + ``strength``) to 1 + ``strength``."""
    power = np.exp(rng.uniform(-1, 1) * np.log1p(strength))
    table = np.round(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def turn_hue(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Turn all hues by one random angle of up to ``strength`` × 180°, around the grey axis of RGB."""
    angle = rng.uniform(-strength, strength) * np.pi
    around_grey, _ = cv2.Rodrigues(np.full(3, angle / np.sqrt(3)))
    return np.asarray(cv2.transform(image, around_grey), np.uint8)


def drop_color(image: Image) -> Image:
    """The image in grey, with three equal channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def blur_or_sharpen(image: Image, rng: np.random.Generator) -> Image:
    """Apply a Gaussian blur or, with probability one half, an unsharp mask."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*BLUR)), np.uint8)
    amount = rng.uniform(*SHARPEN)
    return np.asarray(cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.0), -amount, 0), np.uint8)


def soften(image: Image, rng: np.random.Generator) -> Image:
    """Reduce the columns and stretch them back, as cameras and archives do that store fewer columns than they show."""
    height, width = image.shape[:2]
    fewer = max(1, round(width * rng.uniform(*SOFT)))
    small = cv2.resize(image, (fewer, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def compress(image: Image, rng: np.random.Generator) -> Image:
    """Compress to JPEG with a random quality, and decode."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY, endpoint=True))]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def add_noise(image: Image, rng: np.random.Generator) -> Image:
    """Add Gaussian noise, independent for each pixel and channel."""
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    cv2.randn(noise, np.zeros(3), np.full(3, rng.uniform(*NOISE)))  # one number would be the first channel alone
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def photometric(image: Image, rng: np.random.Generator, config: AugmentConfig) -> Image:
    """Apply random effects of light, lens, sensor and storage, in this order: H×W×3 uint8 RGB → the same."""
    happens = rng.random(5) < (config.soft, config.blur, config.gray, config.noise, config.jpeg)
    soft, blurred, gray, noisy, jpeg = happens
    if soft:
        image = soften(image, rng)
    if blurred:
        image = blur_or_sharpen(image, rng)
    image = jitter_color(image, rng, config.color)
    if config.gamma:
        image = change_gamma(image, rng, config.gamma)
    if gray:
        image = drop_color(image)
    elif config.hue:
        image = turn_hue(image, rng, config.hue)
    if noisy:
        image = add_noise(image, rng)
    return compress(image, rng) if jpeg else image

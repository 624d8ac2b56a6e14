"""Random changes that leave what is seen the same: where, how large, mirrored, in which light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.model.bundle import MEAN_COLOR

Image = NDArray[np.uint8]


def crop_at_scale(
    image: Image, label: Image, size: tuple[int, int], scale: float, at: Sequence[float] | NDArray[np.float64]
) -> tuple[Image, Image]:
    """A window of ``size`` (height, width) from the image magnified by ``scale``; outside it: mean colour and void.

    ``at`` (each 0..1) says where, from top left to bottom right.
    """
    window = [max(1, round(length / scale)) for length in size]
    missing = [max(0, w - have) for w, have in zip(window, label.shape, strict=True)]
    start = [round(f * (have + m - w)) - m // 2 for f, have, m, w in zip(at, label.shape, missing, window, strict=True)]
    stop = [s + w for s, w in zip(start, window, strict=True)]
    inside = tuple(slice(max(0, a), min(b, have)) for a, b, have in zip(start, stop, label.shape, strict=True))
    border = [b for a, e, have in zip(start, stop, label.shape, strict=True) for b in (max(0, -a), max(0, e - have))]
    top, bottom, left, right = border
    fill = cv2.BORDER_CONSTANT
    window_image = cv2.copyMakeBorder(image[inside], top, bottom, left, right, fill, value=MEAN_COLOR)
    window_label = cv2.copyMakeBorder(label[inside], top, bottom, left, right, fill, value=VOID)
    shrink_or_grow = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image_out = cv2.resize(window_image, size[::-1], interpolation=shrink_or_grow)
    label_out = cv2.resize(window_label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(image_out, np.uint8), np.asarray(label_out, np.uint8)


def jitter_color(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Random brightness, contrast, saturation and white balance, each by up to ``strength`` (0..1).

    All are linear in a pixel's colour, so that one 3×4 matrix does them at once.
    """
    gain, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    scale = gain * (1 + rng.uniform(-strength, strength, 3) * 0.3)
    gray = np.full((3, 3), 1 / 3)
    colors = contrast * (saturation * (np.eye(3) - gray) + gray)
    mean = np.full((3, 1), (1 - contrast) * float(np.mean(cv2.mean(image)[:3])))
    return np.asarray(cv2.transform(image, scale[:, None] * np.hstack([colors, mean])), np.uint8)

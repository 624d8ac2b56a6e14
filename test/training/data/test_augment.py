"""Crops and colours: image and label stay aligned."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.augment import crop_at_scale, jitter_color
from unet_seg_ros.model.bundle import MEAN_COLOR

sides = st.integers(1, 30)
fractions = st.floats(0, 1)


@given(sides, sides, sides, sides, st.floats(0.3, 3), fractions, fractions)
def test_a_crop_is_where_it_should_be(
    height: int, width: int, out_height: int, out_width: int, scale: float, down: float, right: float
) -> None:
    """Each label pixel against the one that lies at its centre, looked up on its own."""
    label = (np.arange(height * width).reshape(height, width) % 251).astype(np.uint8)
    image = np.zeros((height, width, 3), np.uint8)
    crop, cropped = crop_at_scale(image, label, (out_height, out_width), scale, (down, right))
    assert (crop.shape, cropped.shape) == ((out_height, out_width, 3), (out_height, out_width))
    sources = []
    for have, out, at in ((height, out_height, down), (width, out_width, right)):
        window = max(1, round(out / scale))
        start = round(at * (have - window)) if window <= have else -((window - have) // 2)
        sources.append([start + (i + 0.5) * window / out for i in range(out)])
    for y, source_y in enumerate(sources[0]):
        for x, source_x in enumerate(sources[1]):
            inside = 0 <= source_y < height and 0 <= source_x < width
            between = min(abs(place - round(place)) for place in (source_y, source_x)) < 1e-3  # either pixel will do
            assert between or cropped[y, x] == (label[int(source_y), int(source_x)] if inside else 255)


@given(st.integers(24, 60), st.integers(24, 60), st.floats(0.4, 3), fractions, fractions)
def test_image_and_label_stay_aligned(height: int, width: int, scale: float, down: float, right: float) -> None:
    """An image of its own labels: where a pixel's surroundings have one label, its colour is that label's."""
    label = np.zeros((height, width), np.uint8)
    label[height // 3 :, width // 4 :] = 100
    label[height // 2 :] = 200
    image, cropped = crop_at_scale(label[..., None].repeat(3, axis=2), label, (32, 40), scale, (down, right))
    uniform = cv2.erode(cropped, np.ones((7, 7))) == cv2.dilate(cropped, np.ones((7, 7)))
    expected = np.where(cropped[..., None] == 255, MEAN_COLOR, cropped[..., None])
    np.testing.assert_array_equal(image[uniform], expected[uniform])


def test_color_jitter() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(jitter_color(image, np.random.default_rng(1), 0), image)
    before = image.copy()
    jittered = jitter_color(image, np.random.default_rng(1), 0.5)
    np.testing.assert_array_equal(image, before)
    assert (jittered.shape, jittered.dtype) == (image.shape, np.uint8)
    assert not np.array_equal(jittered, image)
    rng = np.random.default_rng(1)
    gain, contrast, saturation = 1 + rng.uniform(-0.5, 0.5, 3)
    balance = 1 + 0.3 * rng.uniform(-0.5, 0.5, 3)
    x = image.astype(np.float64)
    x = x.mean(axis=2, keepdims=True) + saturation * (x - x.mean(axis=2, keepdims=True))
    x = (x.mean() + contrast * (x - x.mean())) * gain * balance
    difference = jittered - np.clip(x, 0, 255)
    assert np.abs(difference).max() < 1
    assert abs(difference.mean()) < 0.05  # neither rounded down nor up

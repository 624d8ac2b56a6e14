"""Crops and colours: image and label stay aligned."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.config import AugmentConfig
from training.data import augment
from training.data.augment import crop_at_scale, jitter_color, photometric
from unet_seg_ros.model.bundle import MEAN_COLOR

sides = st.integers(1, 30)
fractions = st.floats(0, 1)


@given(sides, sides, sides, sides, st.floats(0.3, 3), st.floats(0.3, 3), fractions, fractions)
def test_a_crop_shows_the_right_pixels(
    height: int, width: int, out_height: int, out_width: int, scale: float, wider: float, down: float, right: float
) -> None:
    """Compares each label pixel with the source pixel at its centre."""
    label = (np.arange(height * width).reshape(height, width) % 251).astype(np.uint8)
    image = np.zeros((height, width, 3), np.uint8)
    crop, cropped = crop_at_scale(image, label, (out_height, out_width), (scale, wider), (down, right))
    assert (crop.shape, cropped.shape) == ((out_height, out_width, 3), (out_height, out_width))
    sources = []
    for have, out, at, s in ((height, out_height, down, scale), (width, out_width, right, wider)):
        window = max(1, round(out / s))
        start = round(at * (have - window)) if window <= have else -((window - have) // 2)
        sources.append([start + (i + 0.5) * window / out for i in range(out)])
    for y, source_y in enumerate(sources[0]):
        for x, source_x in enumerate(sources[1]):
            inside = 0 <= source_y < height and 0 <= source_x < width
            between = min(abs(place - round(place)) for place in (source_y, source_x)) < 1e-3  # both pixels are correct
            assert between or cropped[y, x] == (label[int(source_y), int(source_x)] if inside else 255)


@given(st.integers(24, 60), st.integers(24, 60), st.floats(0.4, 3), fractions, fractions)
def test_image_and_label_stay_aligned(height: int, width: int, scale: float, down: float, right: float) -> None:
    """The image shows its own labels: a pixel whose neighbours have one label has the colour of that label."""
    label = np.zeros((height, width), np.uint8)
    label[height // 3 :, width // 4 :] = 100
    label[height // 2 :] = 200
    image, cropped = crop_at_scale(label[..., None].repeat(3, axis=2), label, (32, 40), (scale, scale), (down, right))
    uniform = cv2.erode(cropped, np.ones((7, 7))) == cv2.dilate(cropped, np.ones((7, 7)))
    expected = np.where(cropped[..., None] == 255, MEAN_COLOR, cropped[..., None])
    np.testing.assert_array_equal(image[uniform], expected[uniform])


def test_colour_jitter_changes_the_colours_within_its_range() -> None:
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
    assert abs(difference.mean()) < 0.05  # on average it is rounded neither down nor up


IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
ALL = AugmentConfig(color=0.4, gamma=0.4, hue=0.1, gray=0.5, blur=0.5, soft=0.5, jpeg=0.5, noise=0.5)


def test_strength_0_changes_nothing() -> None:
    nothing = AugmentConfig(color=0.0)
    np.testing.assert_array_equal(photometric(IMAGE, np.random.default_rng(1), nothing), IMAGE)


@given(st.integers(0, 1 << 30), st.integers(1, 40), st.integers(1, 40))
def test_any_image_keeps_its_shape_and_the_input_is_not_changed(seed: int, height: int, width: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    before = image.copy()
    changed = photometric(image, np.random.default_rng(seed), ALL)
    np.testing.assert_array_equal(image, before)
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(photometric(image, np.random.default_rng(seed), ALL), changed)


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_gamma_is_a_power_within_its_range(strength: float) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    powers = []
    for seed in range(50):
        changed = augment.change_gamma(ramp, np.random.default_rng(seed), strength)[0, :, 0]
        power = np.log(changed[128] / 255) / np.log(128 / 255)
        np.testing.assert_allclose(changed, 255 * (np.arange(256) / 255) ** power, atol=1.5)
        powers.append(power)
    assert 1 / (1 + strength) - 0.02 <= min(powers) < 1 < max(powers) <= 1 + strength + 0.02


def test_hue_changes_colours_and_keeps_grey() -> None:
    grey = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_allclose(augment.turn_hue(grey, np.random.default_rng(0), 1.0), grey, atol=1)
    soft_red = np.full((1, 1, 3), (150, 90, 90), np.uint8)
    turned = [augment.turn_hue(soft_red, np.random.default_rng(seed), 0.1)[0, 0] for seed in range(20)]
    hues = [float(cv2.cvtColor(color[None, None], cv2.COLOR_RGB2HSV)[0, 0, 0]) for color in turned]
    degrees = [2 * hue if hue < 90 else 2 * hue - 360 for hue in hues]
    assert -21 <= min(degrees) < -1 < 1 < max(degrees) <= 21
    assert all(abs(int(color.sum()) - 330) <= 3 for color in turned)


def test_blur_smooths_or_sharpens_within_its_range() -> None:
    edge = np.zeros((20, 20, 3), np.uint8)
    edge[:, 10:] = 100
    rows = [augment.blur_or_sharpen(edge, np.random.default_rng(seed))[10, :, 0] for seed in range(40)]
    slopes = [int(np.abs(np.diff(row.astype(int))).max()) for row in rows]
    assert min(slopes) < 40
    assert max(slopes) > 100


def test_soft_images_keep_their_rows() -> None:
    stripes = np.zeros((20, 60, 3), np.uint8)
    stripes[::2] = 200
    np.testing.assert_array_equal(augment.soften(stripes, np.random.default_rng(0)), stripes)
    columns = stripes[:, :20].transpose(1, 0, 2).copy()
    softened = augment.soften(columns, np.random.default_rng(0))
    assert softened.astype(int).std() < 0.8 * columns.astype(int).std()


def test_noise_has_no_mean_and_a_bounded_deviation() -> None:
    flat = np.full((100, 100, 3), 128, np.uint8)
    for seed in range(10):
        noise = augment.add_noise(flat, np.random.default_rng(seed)).astype(float) - 128
        assert abs(noise.mean()) < 0.5
        assert 0.8 < noise.std() < 10.5


def test_jpeg_changes_a_smooth_image_little() -> None:
    smooth = cv2.resize(IMAGE[:5, :6], (60, 40), interpolation=cv2.INTER_CUBIC)
    changed = augment.compress(smooth, np.random.default_rng(0))
    assert 0 < np.abs(changed.astype(int) - smooth).mean() < 8


def test_grey_is_the_luminance() -> None:
    gray = augment.drop_color(IMAGE)
    expected = IMAGE @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray, expected[..., None].repeat(3, axis=2), atol=1)

"""Signals of pictures for which they are known by hand, and whether each signal rises or falls as it should."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.health import plain
from test.health.pictures import Array, street
from unet_seg_ros.health.picture_signals import MOST_PIXELS, cells, picture_signals, shrunk

RNG = np.random.default_rng(5)


def signals(frame: Array) -> dict[str, float]:
    return picture_signals(frame, cells(frame))


def flat(level: float, sigma: float = 0.0, size: tuple[int, int] = (241, 323)) -> Array:
    noise = sigma * np.random.default_rng(1).standard_normal((*size, 3))
    return np.clip(level + noise + 0.5, 0, 255).astype(np.uint8)


def test_light_of_a_half_black_half_white_picture() -> None:
    frame = np.zeros((240, 320, 3), np.uint8)
    frame[:, 160:] = 255
    found = signals(frame)
    assert found["brightness"] == pytest.approx(127.5)
    assert found["contrast"] == 255
    assert found["haze"] == 0
    assert found["white"] == pytest.approx(0.5)


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_is_measured_in_grey_levels(sigma: float) -> None:
    frame = flat(128)
    grain = sigma * np.random.default_rng(0).standard_normal(frame.shape[:2])
    noisy = np.clip(frame + grain[..., None], 0, 255).astype(np.uint8)
    assert signals(noisy)["noise"] == pytest.approx(sigma, rel=0.15)


def test_a_flat_picture_has_no_noise_no_detail_and_missing_rows() -> None:
    found = signals(flat(128))
    assert found["noise"] == found["noise_floor"] == found["detail"] == found["coarse_detail"] == 0
    assert found["missing_rows"] == 1
    assert found["cast"] == found["saturation"] == 0
    assert found["smooth"] == 1


def test_the_cast_is_the_log_ratio_to_green() -> None:
    frame = flat(100)
    frame[..., 2] = 203
    assert signals(frame)["cast"] == pytest.approx(np.log(206 / 103), abs=1e-3)


def test_rows_that_repeat_are_counted() -> None:
    frame = street()[0][0].copy()
    before = signals(frame)["missing_rows"]
    frame[180:] = frame[179]
    assert signals(frame)["missing_rows"] == pytest.approx(before + 60 / 239, abs=0.03)


def test_a_shift_of_the_lower_part_tears_the_picture() -> None:
    frame = street()[0][0]
    torn = frame.copy()
    torn[110:] = np.roll(frame[110:], 60, axis=1)
    assert signals(torn)["torn"] > signals(frame)["torn"]


BLUR: Callable[[Array], Array] = lambda frame: cv2.GaussianBlur(frame, (0, 0), 3)  # noqa: E731


@pytest.mark.parametrize(
    ("signal", "sign", "worsen"),
    [
        ("brightness", -1, lambda f: f // 8),
        ("contrast", -1, lambda f: 100 + f // 6),
        ("haze", 1, lambda f: 100 + f // 6),
        ("white", 1, lambda f: cv2.convertScaleAbs(f, alpha=3)),
        ("detail", -1, BLUR),
        ("coarse_detail", -1, lambda f: cv2.GaussianBlur(f, (0, 0), 8)),
        ("noise", 1, lambda f: cv2.add(f, RNG.integers(0, 60, f.shape, np.uint8))),
        ("noise_floor", 1, lambda f: cv2.add(f, RNG.integers(0, 60, f.shape, np.uint8))),
        ("cast", 1, lambda f: (f * [1, 0.5, 1]).astype(np.uint8)),
        ("greyness", 1, lambda f: np.repeat(f[..., 1:2], 3, axis=2)),
        ("steps", 1, lambda f: np.repeat(np.repeat(f[::4, ::4], 4, axis=0), 4, axis=1)),
        ("blocked", 1, lambda f: np.where(np.arange(f.shape[1])[None, :, None] < 90, 3, f).astype(np.uint8)),
        ("smooth", 1, lambda f: np.where(np.arange(f.shape[1])[None, :, None] < 90, 90, f).astype(np.uint8)),
    ],
)
def test_each_signal_moves_the_right_way(signal: str, sign: int, worsen: Callable[[Array], Array]) -> None:
    for frame, _ in street()[:3]:
        assert sign * signals(worsen(frame))[signal] > sign * signals(frame)[signal]


def test_alternating_colours_raise_the_zipper_signal() -> None:
    """A mosaic of a smooth orange picture, decoded in the right order and in another."""
    smooth = np.zeros((240, 320, 3), np.uint8)
    smooth[..., 0], smooth[..., 1], smooth[..., 2] = 200, np.linspace(60, 160, 320), 40
    mosaic = smooth[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = smooth[::2, ::2, 0], smooth[1::2, 1::2, 2]
    right, wrong = (cv2.cvtColor(mosaic, code) for code in (cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerGR2RGB))
    assert np.abs(right[9:-9, 9:-9].astype(int) - smooth[9:-9, 9:-9]).max() <= 2, "the first is right"
    assert signals(wrong)["zipper"] > signals(right)["zipper"] + 0.3


@pytest.mark.parametrize("harm", [lambda f: f, BLUR, lambda f: f[::-1, 5:, ::-1], lambda f: np.minimum(f * 3, 255)])
def test_the_signals_equal_those_of_plain_numpy(harm: Callable[[Array], Array]) -> None:
    frame = np.ascontiguousarray(harm(street()[2][0])).astype(np.uint8)
    frame[150:155] = frame[150]
    small, found = cells(frame), signals(frame)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    half = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    expected = {**plain.light(grey), **plain.noise(grey), **plain.color(small), **plain.rows(grey)}
    expected |= {"zipper": plain.zipper(frame), "steps": plain.steps(grey)}
    ranked = np.sort(np.minimum(plain.laplacian(half)[::2], 255), axis=None)
    expected["detail"] = float(ranked[int(np.ceil(0.98 * ranked.size)) - 1])
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-6), name


@given(st.integers(16, 90), st.integers(16, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_pictures_of_any_size_give_finite_signals(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = signals(frame)
    assert all(np.isfinite(value) for value in found.values())
    for share in ("white", "saturation", "greyness", "steps", "torn", "missing_rows", "blocked", "smooth"):
        assert 0 <= found[share] <= 1


@pytest.mark.parametrize("size", [(16, 16), (360, 480), (361, 481), (720, 1280), (1024, 2048), (16, 40000)])
def test_large_frames_are_shrunk_to_the_budget(size: tuple[int, int]) -> None:
    frame = np.full((*size, 3), 77, np.uint8)
    small = shrunk(frame)
    pixels = small.shape[0] * small.shape[1]
    assert pixels <= MOST_PIXELS
    assert (small == 77).all()
    if size[0] * size[1] <= MOST_PIXELS:
        assert small is frame
    elif min(size) > 100:
        assert pixels > 0.95 * MOST_PIXELS
        assert small.shape[1] / small.shape[0] == pytest.approx(size[1] / size[0], rel=0.01)

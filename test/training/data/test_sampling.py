"""Frames and windows are drawn as documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.augment import crop_at_scale
from training.data.sampling import MIN_PIXELS, UniformChoice, evenly, pixel_of, window_at

seeds = st.integers(0, 10**6)


@pytest.mark.parametrize(("most", "expected"), [(0, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (1, [0])])
def test_items_are_evenly_spread(most: int, expected: list[int]) -> None:
    assert evenly(range(5), most) == expected


def test_all_sets_are_drawn_equally_often() -> None:
    counts = np.zeros((50, 4), np.int64)
    counts[:, 0] = 5000  # everywhere
    counts[7, 1] = MIN_PIXELS  # in one frame
    counts[3:6, 2] = 100
    counts[9, 2] = MIN_PIXELS - 1  # too few
    choice, rng = UniformChoice(counts), np.random.default_rng(0)
    drawn = np.array([choice.draw(rng) for _ in range(3000)])
    for k, frames in ((0, range(50)), (1, [7]), (2, [3, 4, 5])):
        of_set = drawn[drawn[:, 0] == k, 1]
        assert abs(len(of_set) - 1000) < 5 * np.sqrt(3000 * 2 / 9)  # five standard deviations
        assert set(of_set) == set(frames)
    assert not (drawn[:, 0] == 3).any()
    assert UniformChoice(np.zeros((3, 2), np.int64)).draw(rng) is None


@given(st.integers(1, 40), st.integers(1, 40), seeds)
def test_the_drawn_pixel_has_a_wanted_class(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 5, (height, width)).astype(np.uint8)
    wanted = np.zeros(256, bool)
    wanted[[1, 3]] = True
    if not np.isin(label, [1, 3]).any():
        with pytest.raises(ValueError, match="no pixel"):
            pixel_of(label, wanted, rng)
    else:
        assert label[pixel_of(label, wanted, rng)] in (1, 3)


@given(st.integers(20, 60), st.integers(20, 60), st.floats(0.5, 2), seeds)
def test_the_window_contains_the_pixel(height: int, width: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = np.zeros((height, width), np.uint8)
    pixel = int(rng.integers(height)), int(rng.integers(width))
    label[max(0, pixel[0] - 1) : pixel[0] + 2, max(0, pixel[1] - 1) : pixel[1] + 2] = 9  # survives shrinking
    crop = (16, 24)
    at = window_at(pixel, label.shape, [side / scale for side in crop], rng)
    assert all(0 <= place <= 1 for place in at)
    _, cropped = crop_at_scale(np.zeros((height, width, 3), np.uint8), label, crop, (scale, scale), at)
    assert (cropped == 9).any()

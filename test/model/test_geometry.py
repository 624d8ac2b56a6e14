"""Working sizes, and where pixels lie between logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.model.geometry import axis, working_size


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 2, 4]))
def test_pixels_lie_between_logits_by_definition(frame: int, working: int, ratio: int) -> None:
    working = min(frame, working)
    side = axis(frame, working, ratio)
    logits = -(-working // ratio)
    centers = (np.arange(frame) + 0.5) * working / frame / ratio - 0.5  # of the pixels, in logits
    found = side.low + side.weight * (side.high - side.low)
    np.testing.assert_allclose(found, centers.clip(0, logits - 1), atol=1e-4)
    assert ((side.high - side.low == 1) | (side.low == logits - 1)).all()
    assert len(side.first) == len(side.counts) == logits
    pixels = np.arange(frame)
    for cell, (first, count) in enumerate(zip(side.first, side.counts, strict=True)):
        np.testing.assert_array_equal(pixels[side.low == cell], np.arange(first, first + count))
    assert side.step == pytest.approx(working / frame / ratio)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3_000_000))
def test_working_sizes_keep_the_budget_and_the_aspect_ratio(height: int, width: int, budget: int) -> None:
    h, w = working_size(height, width, budget)
    assert 1 <= h <= height
    assert 1 <= w <= width
    assert h * w <= budget
    if height * width <= budget:
        assert (h, w) == (height, width)
    else:
        exact = math.sqrt(budget / (height * width))
        assert h > height * exact - 1 - 1e-9 or width * exact < 1
        assert w > width * exact - 1 - 1e-9 or height * exact < 1
        assert working_size(width, height, budget) == (w, h)


def test_working_sizes_of_common_cameras() -> None:
    assert working_size(480, 640, 172800) == (360, 480)
    assert working_size(540, 720, 172800) == (360, 480)
    assert working_size(1024, 2048, 2048 * 1024) == (1024, 2048)
    assert working_size(1, 10**6, 1024) == (1, 1024)
    assert working_size(10**6, 1, 1024) == (1024, 1)

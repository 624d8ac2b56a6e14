"""Working sizes, and logits resized to the frame, against float64 written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from unet_seg_ros.model.geometry import Axis, axis, resized, resized_argmax, working_size

CPU = torch.device("cpu")
Matrix = NDArray[np.float64]


def interpolation(frame: int, working: int, ratio: int, logits: int) -> Matrix:
    """float64[frame, logits]: how much each logit counts for each pixel, by the definition of half-pixel centres."""
    usable = [i for i in range(logits) if i * ratio < working]  # logits of padding alone are cut
    weights = np.zeros((frame, logits))
    for pixel in range(frame):
        center = (pixel + 0.5) * working / frame / ratio  # in logits, the first of which has its centre at 0.5
        distances = [abs(i + 0.5 - center) for i in usable]
        if center <= 0.5 or center >= len(usable) - 0.5:
            weights[pixel, int(np.argmin(distances))] = 1
        else:
            for i in usable:
                weights[pixel, i] = max(0.0, 1 - distances[i])
    return weights


def axes(frame: tuple[int, int], working: tuple[int, int], ratio: int) -> tuple[Axis, Axis]:
    return axis(frame[0], working[0], ratio, CPU), axis(frame[1], working[1], ratio, CPU)


sides = st.integers(1, 45)


@given(sides, sides, st.integers(1, 900), st.sampled_from([1, 2, 4]), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_mask_and_values_are_those_of_float64(
    height: int, width: int, budget: int, ratio: int, classes: int, seed: int
) -> None:
    working = working_size(height, width, budget)
    h, w = (-(-side // 8) * 8 // ratio for side in working)  # padded to a stride of 8
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(classes, h, w, generator=generator) * 3
    if seed % 3 == 0:
        logits = logits.round()  # many ties
    ys, xs = axes((height, width), working, ratio)
    rows = interpolation(height, working[0], ratio, h)
    columns = interpolation(width, working[1], ratio, w)
    expected = rows @ logits.double().numpy() @ columns.T
    np.testing.assert_allclose(resized(logits[0], ys, xs).numpy(), expected[0], atol=1e-5)
    mask = resized_argmax(logits, logits.argmax(dim=0).to(torch.uint8), ys, xs).numpy()
    assert mask.shape == (height, width)
    chosen = np.take_along_axis(expected, mask[None].astype(int), axis=0)[0]
    assert (expected.max(axis=0) - chosen).max() < 1e-5  # the best one, or one that ties within float32


@pytest.mark.parametrize(("size", "frame"), [((32, 48), (64, 96)), ((16, 24), (90, 130)), ((24, 16), (25, 17))])
def test_without_padding_it_is_pytorchs_bilinear(size: tuple[int, int], frame: tuple[int, int]) -> None:
    logits = torch.randn(19, *size, generator=torch.Generator().manual_seed(1))
    working = 2 * size[0], 2 * size[1]
    ys, xs = axes(frame, working, 2)
    expected = F.interpolate(logits[None].double(), frame, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(resized(logits[3], ys, xs), expected[3].float())
    mask = resized_argmax(logits, logits.argmax(dim=0).to(torch.uint8), ys, xs)
    best_two = expected.topk(2, dim=0).values
    clear = best_two[0] - best_two[1] > 1e-5
    assert clear.float().mean() > 0.99
    assert torch.equal(mask[clear], expected.argmax(dim=0).to(torch.uint8)[clear])


def test_padding_has_no_say() -> None:
    logits = torch.zeros(2, 8, 8)
    logits[0, :3, :5] = 1
    logits[1, 3:] = logits[1, :, 5:] = 1e6
    ys, xs = axes((21, 37), (5, 10), 2)  # 3 rows of logits, the last of which is half padding, and 5 columns
    assert not resized_argmax(logits, logits.argmax(dim=0).to(torch.uint8), ys, xs).any()
    assert (resized(logits[0], ys, xs) == 1).all()


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3_000_000))
def test_working_sizes(height: int, width: int, budget: int) -> None:
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

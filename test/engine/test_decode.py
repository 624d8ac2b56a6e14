"""Mask and confidence of a frame's logits, on the CPU and as on a GPU, against float64 written out pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from unet_seg_ros.engine import Scores
from unet_seg_ros.engine import decode as module
from unet_seg_ros.engine.decode import decode, scores_of
from unet_seg_ros.engine.pytorch_decode import decode_on_device
from unet_seg_ros.model.geometry import Axis, axis, working_size

Matrix = NDArray[np.float64]
Image = NDArray[np.uint8]


def interpolation(frame: int, working: int, ratio: int, logits: int) -> Matrix:
    """float64[frame, logits]: how much each logit counts for each pixel, by the definition of half-pixel centres."""
    usable = [i for i in range(logits) if i * ratio < working]  # logits that cover only padding are cut off
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
    return axis(frame[0], working[0], ratio), axis(frame[1], working[1], ratio)


def in_pytorch(scores: Scores, ys: Axis, xs: Axis) -> tuple[Image, Image]:
    return decode_on_device(Scores(*map(torch.from_numpy, scores)), ys, xs)


def in_numpy(scores: Scores, ys: Axis, xs: Axis) -> tuple[Image, Image]:
    return decode(*scores, ys, xs)


WAYS = pytest.mark.parametrize("way", [in_numpy, in_pytorch])
Way = Callable[[Scores, Axis, Axis], tuple[Image, Image]]
sides = st.integers(1, 45)


@WAYS
@given(sides, sides, st.integers(1, 900), st.sampled_from([1, 2, 4]), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_mask_and_confidence_equal_float64(
    way: Way, height: int, width: int, budget: int, ratio: int, classes: int, seed: int
) -> None:
    working = working_size(height, width, budget)
    h, w = (-(-side // 8) * 8 // ratio for side in working)  # padded to a stride of 8
    logits = np.random.default_rng(seed).normal(0, 3, (classes, h, w)).astype(np.float32)
    if seed % 3 == 0:
        logits = logits.round()  # many ties
    ys, xs = axes((height, width), working, ratio)
    rows = interpolation(height, working[0], ratio, h)
    columns = interpolation(width, working[1], ratio, w)
    mask, confidence = way(scores_of(logits), ys, xs)
    assert mask.shape == confidence.shape == (height, width)
    assert mask.dtype == confidence.dtype == np.uint8
    expected = rows @ logits.astype(np.float64) @ columns.T
    chosen = np.take_along_axis(expected, mask[None].astype(int), axis=0)[0]
    assert (expected.max(axis=0) - chosen).max() < 1e-5  # the best one, or one that ties within float32
    softmax = np.exp(logits.astype(np.float64))
    probability = rows @ (softmax.max(axis=0) / softmax.sum(axis=0)) @ columns.T
    assert np.abs(confidence - 255 * probability).max() < 0.5 + 1e-3


@WAYS
@pytest.mark.parametrize(("size", "frame"), [((32, 48), (64, 96)), ((16, 24), (90, 130)), ((24, 16), (25, 17))])
def test_without_padding_it_equals_pytorchs_bilinear_resize(
    way: Way, size: tuple[int, int], frame: tuple[int, int]
) -> None:
    logits = torch.randn(19, *size, generator=torch.Generator().manual_seed(1))
    working = 2 * size[0], 2 * size[1]
    ys, xs = axes(frame, working, 2)
    expected = F.interpolate(logits[None].double(), frame, mode="bilinear", align_corners=False)[0]
    mask, _ = way(scores_of(logits.numpy()), ys, xs)
    best_two = expected.topk(2, dim=0).values
    clear = (best_two[0] - best_two[1] > 1e-5).numpy()
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(mask[clear], expected.argmax(dim=0).numpy()[clear])


@WAYS
def test_padding_has_no_influence(way: Way) -> None:
    logits = np.zeros((2, 8, 8), np.float32)
    logits[0, :3, :5] = 10
    logits[1, 3:] = logits[1, :, 5:] = 1e6
    ys, xs = axes((21, 37), (5, 10), 2)  # 3 rows of logits, the last of which is half padding, and 5 columns
    mask, confidence = way(scores_of(logits), ys, xs)
    assert not mask.any()
    assert (confidence == 255).all()


def test_numpy_and_pytorch_agree_on_equal_logits() -> None:
    logits = np.random.default_rng(0).integers(0, 2, (6, 20, 30)).astype(np.float32)
    ys, xs = axes((40, 60), (40, 60), 2)
    mask, confidence = in_numpy(scores_of(logits), ys, xs)
    others = in_pytorch(scores_of(logits), ys, xs)
    np.testing.assert_array_equal(mask, others[0])
    assert np.abs(confidence.astype(int) - others[1]).max() <= 1  # a value of one half may be rounded up or down


def test_the_result_does_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 24, 32)).astype(np.float32)
    ys, xs = axes((90, 131), (47, 64), 2)
    whole = in_numpy(scores_of(logits), ys, xs)
    monkeypatch.setattr(module, "COLUMNS", 10)
    for one, other in zip(whole, in_numpy(scores_of(logits), ys, xs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nan_and_infinity_raise_no_error() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 24, 32)).astype(np.float32)
    logits[:, 3:9, 4:20] = np.nan
    logits[2, 15, 9] = np.nan
    mask, _ = in_numpy(
        Scores(logits, np.nan_to_num(logits).argmax(axis=0).astype(np.uint8), logits[0]), *axes((90, 131), (47, 64), 2)
    )
    assert mask.max() < 5

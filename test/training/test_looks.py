"""Averages over several looks at a frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.looks import Looks, _starts, segment
from unet_seg_ros.model.bundle import Bundle, Manifest
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(1)
    return Segmenter.load(Bundle(Manifest("x", CONFIG, 80 * 100), UNet(CONFIG).state_dict(), "x" * 12), device="cpu")


def frame(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth, so that rounding decides few pixels."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.float64)
    return np.kron(small, np.ones((-(-height // 4), -(-width // 5), 1)))[:height, :width].astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 80), (63, 81), (160, 200)])
def test_one_look_is_the_segmenters(size: tuple[int, int], segmenter: Segmenter) -> None:
    image = frame(*size)
    seen = segmenter([image])[0]
    mask, confidence = segment(segmenter, image, Looks())
    assert (mask == seen.mask).mean() > 0.9
    agree = mask == seen.mask
    assert np.abs(confidence[agree].astype(int) - seen.confidence[agree]).mean() < 4


def test_a_window_as_large_as_the_frame_is_the_frame(segmenter: Segmenter) -> None:
    image = frame(64, 80)
    for size in ((64, 80), (100, 100)):
        looks = segment(segmenter, image, Looks(window=size)), segment(segmenter, image, Looks())
        np.testing.assert_array_equal(*(mask for mask, _ in looks))


def test_mirrored_frames_have_mirrored_masks(segmenter: Segmenter) -> None:
    image = frame(64, 80)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    (mask, confidence), (other, its) = (segment(segmenter, x, Looks(flip=True)) for x in (image, mirrored))
    assert (mask == other[:, ::-1]).mean() > 0.999
    assert np.abs(confidence.astype(int) - its[:, ::-1]).max() <= 1
    assert not np.array_equal(mask, segment(segmenter, image, Looks())[0])


def test_all_at_once_on_an_odd_frame(segmenter: Segmenter) -> None:
    mask, confidence = segment(segmenter, frame(61, 83), Looks((0.75, 1.0, 1.5), flip=True, window=(32, 40)))
    assert mask.shape == confidence.shape == (61, 83)
    assert mask.dtype == confidence.dtype == np.uint8


@pytest.mark.parametrize(("length", "window"), [(100, 100), (100, 30), (101, 40), (10, 30), (7, 1), (100, 99)])
def test_windows_cover_everything_and_overlap(length: int, window: int) -> None:
    starts = _starts(length, window)
    covered = np.zeros(length, bool)
    for start in starts:
        assert 0 <= start <= max(0, length - window)
        covered[start : start + window] = True
    assert covered.all()
    assert all(b - a <= max(1, window * 2 // 3) for a, b in pairwise(starts))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^scales must be above 0, not \[1.0, 0\]"):
        Looks((1.0, 0))
    with pytest.raises(ValueError, match=r"^a window must be at least 1×1 pixels, not \[0, 9\]"):
        Looks(window=(0, 9))

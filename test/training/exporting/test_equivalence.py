"""Comparing an exported model with the checkpoint's network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.exporting.equivalence import Difference, compare, spread
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.model.unet import UNetConfig

MANIFEST = Manifest("x", UNetConfig(widths=(4, 8), depths=(1, 1)), 10_000)
RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (24, 40, 3), np.uint8), RNG.integers(0, 256, (8, 20, 3), np.uint8)]


def scores(images: Tensor) -> Tensor:
    """Class 0 where the image is red, 1 where it is green; logits of 0..255 at full size."""
    logits = torch.full((len(images), 19, *images.shape[1:3]), -255.0)
    logits[:, 0], logits[:, 1] = images[..., 0].float(), images[..., 1].float()
    return logits


def test_equal_networks_do_not_differ() -> None:
    assert compare(scores, scores, MANIFEST, FRAMES) == (0, 1)


def test_the_difference_equals_a_count_over_pixels() -> None:
    def swapped(images: Tensor) -> Tensor:
        return scores(images[..., [1, 0, 2]])

    red, green = (np.concatenate([frame[..., c].ravel().astype(int) for frame in FRAMES]) for c in (0, 1))
    difference = compare(scores, swapped, MANIFEST, FRAMES)
    assert difference.masks == (red == green).mean()
    largest = [abs(frame[..., 0].astype(int) - frame[..., 1]).max() / 255 for frame in FRAMES]
    assert difference.logits == pytest.approx(max(largest))
    assert not difference.within("fp32")
    assert not difference.within("bf16")


@pytest.mark.parametrize("frame", [0, 1])
def test_a_nan_logit_always_exceeds_the_limits(frame: int) -> None:
    def broken(images: Tensor) -> Tensor:
        logits = scores(images)
        if logits.shape[2:] == FRAMES[frame].shape[:2]:
            logits[0, 18, -1, -1] = torch.nan
        return logits

    for one, other in ((scores, broken), (broken, scores), (broken, broken)):
        difference = compare(one, other, MANIFEST, FRAMES)
        assert np.isnan(difference.logits)
        assert not difference.within("fp32")
        assert not difference.within("bf16")


def test_the_limits_depend_on_the_precision() -> None:
    assert Difference(1e-6, 1).within("fp32")
    assert Difference(1e-2, 0.99).within("bf16")
    assert not Difference(1e-4, 1).within("fp32")
    assert not Difference(1e-6, 0.99).within("fp32")
    assert not Difference(1e-2, 0.5).within("bf16")


def test_frames_are_spread_over_the_split(town: Path) -> None:
    pairs = find_pairs(town, "train")
    for count, expected in ((1, [0]), (2, [0, 5]), (4, [0, 2, 3, 5]), (9, [0, 1, 2, 3, 4, 5])):
        frames = spread(town, "train", count)
        assert len(frames) == len(expected)
        for frame, index in zip(frames, expected, strict=True):
            np.testing.assert_array_equal(frame, read_image(pairs[index].image))
    with pytest.raises(FileNotFoundError, match="no images"):
        spread(town, "val")

"""Averages over several predictions, compared with the Segmenter and checked by symmetry."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.evaluation.test_time_augmentation import Looks, segment
from unet_seg_ros.model.bundle import Bundle, Manifest
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))
SIZES = [(64, 80), (48, 33), (65, 51), (3, 5), (1, 1)]


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    model = UNet(CONFIG).eval()
    manifest = Manifest("tiny", CONFIG, max_pixels=64 * 80)
    return Segmenter.load(
        Bundle(manifest, {name: tensor.numpy() for name, tensor in model.state_dict().items()}, "tiny"), device="cpu"
    )


def blobs(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Coloured blocks, in which a network of random weights predicts several classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-size[0] // 8), -(-size[1] // 8), 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]])


def mask_of(segmenter: Segmenter, frame: NDArray[np.uint8], looks: Looks) -> NDArray[np.uint8]:
    return segment(segmenter, frame, looks)[0]


def agreement(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    assert a.shape == b.shape
    return float((a == b).mean())


@pytest.mark.parametrize("size", [(64, 80), (96, 160)])  # the second is shrunk to the working size
def test_one_prediction_equals_the_segmenters(segmenter: Segmenter, size: tuple[int, int]) -> None:
    """Equal except for rounding and, in a shrunk frame, for interpolating probabilities instead of logits."""
    frame = blobs(size)
    plain = segmenter([frame])[0].mask
    assert len(np.unique(plain)) > 2
    assert agreement(mask_of(segmenter, frame, Looks()), plain) > (0.999 if size == (64, 80) else 0.95)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("looks", [Looks(flip=True), Looks((0.5, 1.5), flip=True), Looks(flip=True, window=(32, 32))])
def test_a_mirrored_frame_gets_the_mirrored_mask(segmenter: Segmenter, size: tuple[int, int], looks: Looks) -> None:
    frame = blobs(size)
    mask = mask_of(segmenter, frame, looks)
    assert (mask.shape, mask.dtype) == (size, np.uint8)
    mirrored = mask_of(segmenter, np.ascontiguousarray(frame[:, ::-1]), looks)
    assert agreement(mirrored[:, ::-1], mask) > 0.99


def test_a_symmetric_frame_gets_a_symmetric_mask_only_with_flip(segmenter: Segmenter) -> None:
    frame = blobs((64, 40))
    frame = np.hstack([frame, frame[:, ::-1]])
    mask, without = (mask_of(segmenter, frame, Looks(flip=flip)) for flip in (True, False))
    assert agreement(mask, mask[:, ::-1]) > 0.999
    assert agreement(without, without[:, ::-1]) < 0.999  # the network itself is not symmetric


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", [(0, 0), (10, 7)])
def test_a_window_as_large_as_the_frame_changes_nothing(
    segmenter: Segmenter, size: tuple[int, int], window: tuple[int, int]
) -> None:
    frame = blobs(size)
    larger = (size[0] + window[0], size[1] + window[1])
    expected = mask_of(segmenter, frame, Looks((1.0, 0.75)))
    np.testing.assert_array_equal(mask_of(segmenter, frame, Looks((1.0, 0.75), window=larger)), expected)


def test_small_windows_change_the_mask(segmenter: Segmenter) -> None:
    frame = blobs((64, 80))
    windowed = mask_of(segmenter, frame, Looks(window=(16, 16)))
    assert 0.5 < agreement(windowed, mask_of(segmenter, frame, Looks())) < 1


def test_several_scales_are_averaged(segmenter: Segmenter) -> None:
    frame = blobs((64, 80))
    one, other, both = (mask_of(segmenter, frame, Looks(scales)) for scales in ((1.0,), (1.5,), (1.0, 1.5)))
    assert agreement(one, other) < 1
    assert agreement(both, one) > agreement(other, one)
    assert agreement(both, other) > agreement(one, other)
    np.testing.assert_array_equal(mask_of(segmenter, frame, Looks((1.0, 1.0))), one)


def test_confidence_is_the_probability_of_the_chosen_class(segmenter: Segmenter) -> None:
    """With one prediction it is the Segmenter's, except for rounding and for pixels between two classes."""
    frame = blobs((64, 80))
    confidence = segment(segmenter, frame, Looks())[1]
    assert confidence.dtype == np.uint8
    difference = np.abs(confidence.astype(int) - segmenter([frame])[0].confidence)
    assert np.median(difference) <= 1
    probabilities = [segment(segmenter, frame, Looks(scales))[1].astype(int) for scales in ((1.0,), (1.5,), (1.0, 1.5))]
    assert (probabilities[2] <= np.maximum(*probabilities[:2]) + 1).all()  # a mean is no larger than its largest part


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (1.0, np.nan), (np.inf,), (8.1,)])
def test_scales_must_be_positive_and_small(scales: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"^scales must be above 0 and at most 8, not \["):
        Looks(scales)


def test_windows_must_have_pixels() -> None:
    with pytest.raises(ValueError, match=r"^a window must be at least 1×1 pixels, not \[0, 5\]$"):
        Looks(window=(0, 5))


def test_padding_and_class_ids_equal_the_segmenters(segmenter: Segmenter) -> None:
    """A frame that is padded at both sides, and outputs with other class ids."""
    ids = tuple((k + 5) % 19 for k in range(19))
    other = Segmenter(segmenter.engine, dataclasses.replace(segmenter.manifest, class_ids=ids), "tiny")
    frame = blobs((45, 33))
    assert any(side % segmenter.engine.stride for side in frame.shape[:2])
    np.testing.assert_array_equal(mask_of(other, frame, Looks()), (mask_of(segmenter, frame, Looks()) + 5) % 19)
    (plain,) = other([frame])
    mask, confidence = segment(other, frame, Looks())
    assert agreement(mask[-8:], plain.mask[-8:]) > 0.99
    assert np.abs(confidence[-8:].astype(int) - plain.confidence[-8:]).mean() < 3

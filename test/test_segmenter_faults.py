"""A network with unusable output gives no mask and the reason; each result holds the network's input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.engine import Scores
from unet_seg_ros.engine.decode import decode, scores_of
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.model.geometry import Axis
from unet_seg_ros.model.unet import CONFIGS
from unet_seg_ros.segmenter import Segmenter, fault_of

MANIFEST = Manifest("m", CONFIGS["nano"], 64 * 48)


class Engine:
    """Returns random logits with the value ``spoilt`` at one place of one frame, or equal logits everywhere."""

    device, precision, stride = "cpu", "fp32", 8

    def __init__(self, spoilt: float = 0.0, constant: bool = False) -> None:
        self.spoilt = spoilt
        self.constant = constant

    def allocate(self, frames: int, height: int, width: int) -> np.ndarray:
        return np.empty((frames, height, width, 3), np.uint8)

    def __call__(self, images: np.ndarray) -> list[Scores]:
        logits = random_logits(len(images), 19, images.shape[1] // 4, images.shape[2] // 4)
        logits[0, 7, 2, 3] = self.spoilt
        if self.constant:
            logits[:] = logits[:, :, :1, :1]
        return [scores_of(frame) for frame in logits]

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[np.ndarray, np.ndarray]:
        return decode(*scores, ys, xs)


def random_logits(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(2)]


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_spoils_only_its_own_frame(spoilt: float) -> None:
    broken, whole = Segmenter(Engine(spoilt), MANIFEST, "m")(frames())
    assert broken.fault == "the network's output contains NaN or infinity"
    assert (broken.mask == VOID).all()
    assert not broken.confidence.any()
    assert broken.coverage().regions[0].valid_pixels == 0
    assert whole.fault == ""
    assert len(np.unique(whole.mask)) > 1


def test_an_output_that_is_equal_everywhere_is_a_fault() -> None:
    for seen in Segmenter(Engine(constant=True), MANIFEST, "m")(frames()):
        assert seen.fault == "the network's output is the same for every pixel"
        assert (seen.mask == VOID).all()


def test_an_output_of_one_pixel_is_not_a_fault() -> None:
    assert fault_of(scores_of(np.zeros((19, 1, 1), np.float32))) == ""


def test_large_logits_are_not_a_fault() -> None:
    assert fault_of(scores_of(1e4 * random_logits(19, 30, 40))) == ""


def test_the_result_holds_the_networks_input() -> None:
    small = frames()[0]
    large = np.full((481, 645, 3), 7, np.uint8)
    segmenter = Segmenter(Engine(), MANIFEST, "m")
    first, second = segmenter([small, large])
    assert first.working is not None
    np.testing.assert_array_equal(first.working, small)
    assert second.working is not None
    assert (second.working == 7).all()
    assert 0.9 * segmenter.max_pixels < second.working.shape[0] * second.working.shape[1] <= segmenter.max_pixels

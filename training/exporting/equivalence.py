"""Checks on real frames, with the Segmenter, that an exported model computes the same as the checkpoint's network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.sampling import evenly
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.engine import Scores
from unet_seg_ros.engine.decode import decode, scores_of
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.model.geometry import Axis
from unet_seg_ros.segmenter import Segmenter

Frame = NDArray[np.uint8]
Forward = Callable[[Tensor], Tensor]
"""From RGB images uint8[N, H, W, 3] to logits float[N, C, h, w]."""

LOGITS = {"fp32": 1e-5, "16 bits": 5e-3, "bf16": 5e-2}
"""Largest allowed difference of logits, as a share of the largest logit: about 10 times the rounding error of this
arithmetic, or of weights that are stored in 16 bits."""
MASKS = {"fp32": 0.9999, "16 bits": 0.999, "bf16": 0.9}
"""Share of the pixels on which masks must agree. In bf16, one of several equally likely classes may replace another."""


class Difference(NamedTuple):
    """``logits``: the largest difference as a share of the largest logit; ``masks``: share of pixels that agree."""

    logits: float
    masks: float

    def within(self, precision: str) -> bool:
        """Whether rounding in this arithmetic explains the difference; False if a logit is NaN."""
        return self.logits <= LOGITS[precision] and self.masks >= MASKS[precision]

    def __str__(self) -> str:
        return f"logits differ by up to {self.logits:.1e} of the largest, masks agree on {100 * self.masks:.4f} %"


class _Recorder:
    """An engine on the CPU that calls a function and keeps its last logits."""

    device = "cpu"
    precision = "fp32"

    def __init__(self, forward: Forward, stride: int) -> None:
        self.forward = forward
        self.stride = stride
        self.logits = torch.empty(0)

    def allocate(self, frames: int, height: int, width: int) -> Frame:
        return np.empty((frames, height, width, 3), np.uint8)

    def __call__(self, images: Frame) -> list[Scores]:
        self.logits = self.forward(torch.from_numpy(images)).cpu()
        return [scores_of(logits.numpy()) for logits in self.logits]

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[Frame, Frame]:
        return decode(*scores, ys, xs)


def compare(reference: Forward, other: Forward, manifest: Manifest, frames: Sequence[Frame]) -> Difference:
    """The largest difference over ``frames`` (H×W×3 uint8 RGB), segmented as ``manifest`` says."""
    recorders = [_Recorder(forward, manifest.config.stride) for forward in (reference, other)]
    segmenters = [Segmenter(recorder, manifest, manifest.name) for recorder in recorders]
    logits, agree, pixels = [], 0, 0
    for frame in frames:
        expected, actual = (segmenter([frame])[0].mask for segmenter in segmenters)
        expected_logits, actual_logits = (recorder.logits for recorder in recorders)
        logits.append((actual_logits - expected_logits).abs().max() / expected_logits.abs().max())
        agree += int((actual == expected).sum())
        pixels += expected.size
    return Difference(float(torch.stack(logits).max()), agree / pixels)


def spread(root: Path, split: str, count: int = 4) -> list[Frame]:
    """At most ``count`` frames of a folder in Cityscapes layout, evenly spread over the split.

    Raises FileNotFoundError if there are none, ValueError for one that cannot be read.
    """
    return [read_image(pair.image) for pair in evenly(find_pairs(root, split), count)]

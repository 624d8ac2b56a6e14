"""Averages several predictions of a frame: mirrored, at several scales, in windows. It is better and slower than the
node.

Its figures are reported separately, because the Segmenter predicts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unet_seg_ros.engine import Engine
from unet_seg_ros.model.bundle import MEAN_COLOR
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.segmenter import Segmenter

Image = NDArray[np.uint8]
MAX_SCALE = 8.0
"""Largest scale; 64 times the pixels of the working resolution."""


@dataclass(frozen=True)
class Looks:
    """The predictions that are averaged.

    ``scales`` are relative to the working resolution; ``window`` (height, width), in pixels of the scaled frame, slides
    over it, overlapping by a third; None: the whole frame at once. Raises ValueError for values that are not possible.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= MAX_SCALE for scale in self.scales):  # NaN is neither
            raise ValueError(f"scales must be above 0 and at most {MAX_SCALE:g}, not {list(self.scales)}")
        if self.window and min(self.window) < 1:
            raise ValueError(f"a window must be at least 1×1 pixels, not {list(self.window)}")


def _probabilities(engine: Engine, image: Image) -> Tensor:
    """Softmax of the logits at the image's own size, float[C, H, W]."""
    height, width = image.shape[:2]
    padded = [-(-side // engine.stride) * engine.stride for side in (height, width)]
    batch = engine.allocate(1, *padded)
    batch[:] = MEAN_COLOR
    batch[0, :height, :width] = image
    logits = torch.as_tensor(engine(batch)[0].logits)[None]
    logits = F.interpolate(logits, padded, mode="bilinear", align_corners=False)
    return logits[0, :, :height, :width].softmax(dim=0)


def _starts(length: int, window: int) -> list[int]:
    """Starts of windows that cover a length and overlap by at least a third of a window."""
    count = -(-max(0, length - window) // max(1, window * 2 // 3)) + 1
    return [round(start) for start in np.linspace(0, max(0, length - window), count).tolist()]


def _windows(size: tuple[int, int], window: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for y in _starts(size[0], window[0]):
        for x in _starts(size[1], window[1]):
            yield slice(y, y + window[0]), slice(x, x + window[1])


def segment(segmenter: Segmenter, frame: Image, looks: Looks) -> tuple[Image, Image]:
    """Mask (train ids) and confidence (0..255) of a frame uint8[H, W, 3] RGB, H×W uint8, by the mean of all
    predictions."""
    height, width = frame.shape[:2]
    total = torch.zeros(())
    with torch.inference_mode():
        for scale in looks.scales:
            size = [max(1, round(scale * side)) for side in working_size(height, width, segmenter.max_pixels)]
            how = cv2.INTER_AREA if size[0] < height else cv2.INTER_LINEAR
            scaled = np.asarray(cv2.resize(frame, size[::-1], interpolation=how), np.uint8)
            for mirrored in (False, True) if looks.flip else (False,):
                seen = np.ascontiguousarray(scaled[:, ::-1]) if mirrored else scaled
                whole, times = torch.zeros(()), torch.zeros(size)
                for window in _windows((size[0], size[1]), looks.window or (size[0], size[1])):
                    probabilities = _probabilities(segmenter.engine, np.ascontiguousarray(seen[window])).cpu()
                    if whole.ndim == 0:
                        whole = torch.zeros(len(probabilities), *size)
                    whole[:, window[0], window[1]] += probabilities
                    times[window] += 1
                whole = (whole / times).flip(2) if mirrored else whole / times
                total = total + F.interpolate(whole[None], (height, width), mode="bilinear", align_corners=False)[0]
    ids = np.array(segmenter.manifest.class_ids, np.uint8)
    probability, winner = (total / total.sum(dim=0)).max(dim=0)
    return ids[winner.numpy()], (probability * 255).round().byte().numpy()

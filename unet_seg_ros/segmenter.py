"""The only way from pixels to a mask. The node, the replay, the evaluation and the benchmarks all call it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.engine import Engine, Scores
from unet_seg_ros.engine.selection import make_engine
from unet_seg_ros.metrics.coverage import Coverage, Region, measure
from unet_seg_ros.model.bundle import MEAN_COLOR, Bundle, Manifest, load_bundle
from unet_seg_ros.model.geometry import axis, working_size

Pixels = NDArray[np.uint8]
"""A frame, uint8[H, W, 3] RGB."""
USUAL_SIZES = ((480, 640), (720, 1280), (1024, 2048))
"""Common heights and widths of camera frames: 4:3, 16:9 and 2:1."""


class Timings(NamedTuple):
    """Seconds that each stage took. Frames of one forward pass all have the time of the whole pass."""

    preprocess: float
    forward: float
    postprocess: float


@dataclass(frozen=True)
class Segmentation:
    """The result for one frame.

    ``mask`` is H×W uint8, the class id of each pixel (Cityscapes: train ids), 255 where there is no class.
    ``confidence`` is H×W uint8: 0..255 stands for a probability of 0..1 of the chosen class. Both have the frame's own
    size. ``ignored`` is the number of pixels that were excluded (255 in the mask, 0 in the confidence); the coverage
    does not count them. ``working`` is the network's input without padding, h×w×3 uint8 RGB. ``fault`` says why the
    network's output is unusable; the mask is then all 255 and the confidence 0. It is empty if the output is usable.
    """

    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    class_names: tuple[str, ...]
    timings: Timings
    ignored: int = 0
    working: NDArray[np.uint8] | None = None
    fault: str = ""

    def coverage(self, regions: Sequence[Region] = (), confidence_threshold: float = 0.5) -> Coverage:
        """Each class's share and mean confidence, 0..1, in the whole image and in each of ``regions``."""
        classes = len(self.class_names)
        return measure(self.mask, self.confidence, classes, regions, confidence_threshold, self.ignored)


def fault_of(scores: Scores) -> str:
    """Why the scores of a frame are unusable, empty if they are usable.

    They are unusable if a logit is NaN or infinite, or if all pixels have the same logits: only a broken network gives
    such output."""
    logits, winner = scores.logits, scores.winner
    if not math.isfinite(float(logits.sum())):
        return "the network's output contains NaN or infinity"
    places = winner.shape[0] * winner.shape[1]
    if places > 1 and bool((winner == winner[0, 0]).all()) and bool((logits == logits[:, :1, :1]).all()):
        return "the network's output is the same for every pixel"
    return ""


def _void(frame: Pixels) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A mask that is 255 everywhere and a confidence that is 0 everywhere."""
    return np.full(frame.shape[:2], VOID, np.uint8), np.zeros(frame.shape[:2], np.uint8)


class Segmenter:
    """Segments frames of any size with one network.

    A frame of more than ``max_pixels`` (0: the manifest's value) is shrunk to that many pixels for the network; mask
    and confidence have the frame's own size. Not thread-safe.
    """

    def __init__(self, engine: Engine, manifest: Manifest, model_id: str, max_pixels: int = 0) -> None:
        if max_pixels < 0 or 0 < max_pixels < engine.stride**2:
            least = engine.stride**2
            raise ValueError(f"max_pixels must be 0 (the model's own value) or at least {least}, not {max_pixels}")
        self.engine = engine
        self.manifest = manifest
        self.model_id = model_id
        self.max_pixels = max_pixels or manifest.max_pixels
        self._plain_ids = manifest.class_ids == tuple(range(len(manifest.class_ids)))
        self._class_ids = np.array([*manifest.class_ids, *[255] * (256 - len(manifest.class_ids))], np.uint8)

    @classmethod
    def load(
        cls, bundle: Path | Bundle, device: str = "auto", threads: int = 0, max_pixels: int = 0, precision: str = "auto"
    ) -> Segmenter:
        """From a bundle or its path. Raises BundleError for a bad file and ValueError for a bad argument, one line
        each."""
        if not isinstance(bundle, Bundle):
            bundle = load_bundle(bundle)
        engine = make_engine(bundle, device, precision, threads)
        return cls(engine, bundle.manifest, bundle.model_id, max_pixels)

    def __call__(self, frames: Sequence[Pixels]) -> list[Segmentation]:
        """Segment frames, each uint8[H, W, 3] RGB; one result for each frame, in the same order.

        Frames of the same working size share a forward pass. Raises ValueError for an array of another shape or dtype,
        and OutOfMemory or DeviceLost if the engine does.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for index, frame in enumerate(frames):
            if not isinstance(frame, np.ndarray):
                raise ValueError(f"frame {index} is a {type(frame).__name__}, not an array uint8[height, width, 3]")
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
                raise ValueError(f"frame {index} is {frame.dtype}{list(frame.shape)}, not uint8[height, width, 3]")
            groups.setdefault(working_size(frame.shape[0], frame.shape[1], self.max_pixels), []).append(index)
        results: dict[int, Segmentation] = {}
        for size, members in groups.items():
            segmented = self._segment([frames[index] for index in members], size)
            results.update(zip(members, segmented, strict=True))
        return [results[index] for index in range(len(frames))]

    def warm_up(self) -> None:
        """Run a frame of each of the usual shapes, so that one-time work is done before the first real frame."""
        rng = np.random.default_rng(0)
        for height, width in USUAL_SIZES:
            size = working_size(height, width, self.max_pixels)
            self([rng.integers(0, 256, (*size, 3), np.uint8)])  # noise makes every part of the decoding run

    def _segment(self, frames: list[Pixels], size: tuple[int, int]) -> list[Segmentation]:
        start = perf_counter()
        batch = self.padded(frames, size)
        ready = perf_counter()
        scores = self.engine(batch)
        done = perf_counter()
        segmentations = []
        for frame, shown, seen in zip(frames, batch, scores, strict=True):
            begin = perf_counter()
            fault = fault_of(seen)
            mask, confidence = _void(frame) if fault else self._decode(seen, frame, batch.shape[1:3], size)
            timings = Timings(ready - start, done - ready, perf_counter() - begin)
            working = shown[: size[0], : size[1]].copy()  # the engine overwrites its buffer
            names = self.manifest.class_names
            segmentations.append(Segmentation(mask, confidence, names, timings, working=working, fault=fault))
        return segmentations

    def padded(self, frames: list[Pixels], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Frames resized to ``size`` (height, width) and padded at the right and bottom to a multiple of the stride.

        Returns uint8[N, H, W, 3]; the next call may overwrite it.
        """
        height, width = size
        stride = self.engine.stride
        batch = self.engine.allocate(len(frames), -(-height // stride) * stride, -(-width // stride) * stride)
        for frame, target in zip(frames, batch, strict=True):
            target[height:] = MEAN_COLOR
            target[:height, width:] = MEAN_COLOR
            if frame.shape[:2] == size:
                target[:height, :width] = frame
            else:
                target[:height, :width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        return batch

    def _decode(
        self, scores: Scores, frame: Pixels, padded: tuple[int, ...], working: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Mask and confidence at the frame's size; ``padded`` and ``working`` are heights and widths of the network's
        input with and without padding."""
        ratios = [pixels / logits for pixels, logits in zip(padded, scores.winner.shape, strict=True)]
        ys, xs = (axis(*side) for side in zip(frame.shape[:2], working, ratios, strict=True))
        mask, confidence = self.engine.decode(scores, ys, xs)
        if not self._plain_ids:
            mask = np.asarray(cv2.LUT(mask, self._class_ids), np.uint8)
        return mask, confidence

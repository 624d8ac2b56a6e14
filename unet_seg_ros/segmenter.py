"""The one way from pixels to a mask. The node, the replay, the evaluation and the benchmarks all call it."""

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

Frame = NDArray[np.uint8]
USUAL_SIZES = ((480, 640), (720, 1280), (1024, 2048))
"""Heights and widths of frames as cameras have them: 4:3, 16:9 and 2:1."""


class Timings(NamedTuple):
    """Seconds that each stage took; frames that shared a forward pass share its time."""

    preprocess: float
    forward: float
    postprocess: float


@dataclass(frozen=True)
class Segmentation:
    """What was seen in one frame.

    ``mask`` is H×W uint8, class id per pixel (Cityscapes: train ids), 255 where there is no class; ``confidence`` is
    H×W uint8, 0..255 = probability of the chosen class; both at the frame's own size. ``ignored`` is how many pixels
    were taken out (255 in the mask, 0 in the confidence): they are no part of the coverage. ``working`` is the frame as
    the network saw it, h×w×3 uint8 RGB. ``fault`` says why the network's numbers mean nothing, empty where they do; the
    mask is then void and the confidence 0.
    """

    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    class_names: tuple[str, ...]
    timings: Timings
    ignored: int = 0
    working: NDArray[np.uint8] | None = None
    fault: str = ""

    def coverage(self, regions: Sequence[Region] = (), confidence_threshold: float = 0.5) -> Coverage:
        """Class shares and confidences of the whole image and of ``regions``."""
        classes = len(self.class_names)
        return measure(self.mask, self.confidence, classes, regions, confidence_threshold, self.ignored)


def fault_of(scores: Scores) -> str:
    """Why the scores of a frame say nothing: NaN or infinity among the logits, or the same ones at each place, as only
    a broken network gives. Empty where nothing is wrong."""
    logits, winner = scores.logits, scores.winner
    if not math.isfinite(float(logits.sum())):
        return "the network's output holds numbers that are not finite"
    places = winner.shape[0] * winner.shape[1]
    if places > 1 and bool((winner == winner[0, 0]).all()) and bool((logits == logits[:, :1, :1]).all()):
        return "the network's output is the same at each place"
    return ""


def _void(frame: Frame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A mask without any class, and no confidence."""
    return np.full(frame.shape[:2], VOID, np.uint8), np.zeros(frame.shape[:2], np.uint8)


class Segmenter:
    """Segments frames of any and different sizes with one network.

    A frame of more than ``max_pixels`` (0 = as the manifest says) is shrunk to that many for the network; what comes
    back is at the frame's own size. Not to be called from several threads at once.
    """

    def __init__(self, engine: Engine, manifest: Manifest, model_id: str, max_pixels: int = 0) -> None:
        if max_pixels < 0 or 0 < max_pixels < engine.stride**2:
            raise ValueError(f"max_pixels must be 0 (the model's own) or at least {engine.stride**2}, not {max_pixels}")
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
        """From a bundle or its path. Raises BundleError (the file) or ValueError (an argument), one clear line each."""
        if not isinstance(bundle, Bundle):
            bundle = load_bundle(bundle)
        engine = make_engine(bundle, device, precision, threads)
        return cls(engine, bundle.manifest, bundle.model_id, max_pixels)

    def __call__(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """Segment frames, each H×W×3 uint8 RGB. Those of one working size share a forward pass, in order of the list.

        Raises ValueError for an array of another shape or type, OutOfMemory and DeviceLost as the engine does.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for index, frame in enumerate(frames):
            if not isinstance(frame, np.ndarray):
                raise ValueError(f"frame {index}: a {type(frame).__name__}, not an array uint8[height, width, 3]")
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
                raise ValueError(f"frame {index}: {frame.dtype}{list(frame.shape)}, not uint8[height, width, 3]")
            groups.setdefault(working_size(frame.shape[0], frame.shape[1], self.max_pixels), []).append(index)
        results: dict[int, Segmentation] = {}
        for size, members in groups.items():
            segmented = self._segment([frames[index] for index in members], size)
            results.update(zip(members, segmented, strict=True))
        return [results[index] for index in range(len(frames))]

    def warm_up(self) -> None:
        """Run a frame of each of the usual shapes, so that what is done once is done before the first frame comes."""
        rng = np.random.default_rng(0)
        for height, width in USUAL_SIZES:
            size = working_size(height, width, self.max_pixels)
            self([rng.integers(0, 256, (*size, 3), np.uint8)])  # noise takes every path of the decoding

    def _segment(self, frames: list[Frame], size: tuple[int, int]) -> list[Segmentation]:
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
            working = shown[: size[0], : size[1]].copy()  # the engine uses its memory again
            names = self.manifest.class_names
            segmentations.append(Segmentation(mask, confidence, names, timings, working=working, fault=fault))
        return segmentations

    def padded(self, frames: list[Frame], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Frames at their working ``size`` (height, width), padded right and below to the stride: uint8[N, H, W, 3].

        The engine may use the same memory again at the next call.
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
        self, scores: Scores, frame: Frame, padded: tuple[int, ...], working: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Mask and confidence at the frame's size; the network saw ``padded`` pixels, the frame took ``working``."""
        ratios = [pixels / logits for pixels, logits in zip(padded, scores.winner.shape, strict=True)]
        ys, xs = (axis(*side) for side in zip(frame.shape[:2], working, ratios, strict=True))
        mask, confidence = self.engine.decode(scores, ys, xs)
        if not self._plain_ids:
            mask = np.asarray(cv2.LUT(mask, self._class_ids), np.uint8)
        return mask, confidence

"""The one way from pixels to a mask. The node, the replay, the evaluation and the benchmarks all call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.engine import Engine
from unet_seg_ros.engine.pytorch import TorchEngine, device_errors
from unet_seg_ros.metrics.coverage import Coverage, Region, measure
from unet_seg_ros.model.bundle import MEAN_COLOR, Bundle, Manifest, load_bundle
from unet_seg_ros.model.geometry import axis, resized, resized_argmax, working_size

Frame = NDArray[np.uint8]


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


def fault_of(logits: Tensor) -> str:
    """Why the logits float[C, h, w] of a frame say nothing: NaN or infinity among them, or the same at each place, as
    only a broken network gives. Empty where nothing is wrong."""
    if not bool(torch.isfinite(logits.sum())):
        return "the network's output holds numbers that are not finite"
    places = logits.shape[1] * logits.shape[2]
    if places > 1 and bool((logits == logits[:, :1, :1]).all()):
        return "the network's output is the same at each place"
    return ""


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
        self._class_ids = torch.tensor(manifest.class_ids, dtype=torch.uint8, device=engine.device)
        self._plain_ids = manifest.class_ids == tuple(range(len(manifest.class_ids)))

    @classmethod
    def load(cls, bundle: Path | Bundle, device: str = "auto", threads: int = 0, max_pixels: int = 0) -> Segmenter:
        """From a bundle or its path. Raises BundleError (the file) or ValueError (an argument), one clear line each."""
        if not isinstance(bundle, Bundle):
            bundle = load_bundle(bundle)
        return cls(TorchEngine(bundle, device, threads), bundle.manifest, bundle.model_id, max_pixels)

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
        """Run a frame of the working budget, so that what is done once is done before the first frame comes."""
        side = int(self.max_pixels**0.5)
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)  # takes every path of the decoding
        for _ in range(2):
            self([noise])

    def _segment(self, frames: list[Frame], size: tuple[int, int]) -> list[Segmentation]:
        start = perf_counter()
        batch = self._padded(frames, size)
        ready = perf_counter()
        with torch.inference_mode(), device_errors():
            logits = self.engine(batch)
            ratios = [batch.shape[1] / logits.shape[2], batch.shape[2] / logits.shape[3]]
            done = perf_counter()
            segmentations = []
            for frame, seen, frame_logits in zip(frames, batch.numpy(), logits, strict=True):
                begin = perf_counter()
                fault = fault_of(frame_logits)
                mask, confidence = self._decode(frame_logits, frame.shape[:2], size, ratios)
                if fault:
                    mask, confidence = np.full_like(mask, VOID), np.zeros_like(confidence)
                timings = Timings(ready - start, done - ready, perf_counter() - begin)
                working = seen[: size[0], : size[1]]
                names = self.manifest.class_names
                segmentations.append(Segmentation(mask, confidence, names, timings, working=working, fault=fault))
        return segmentations

    def _padded(self, frames: list[Frame], size: tuple[int, int]) -> Tensor:
        """Frames at their working size, padded at right and bottom to the stride: uint8[N, H, W, 3]."""
        height, width = size
        stride = self.engine.stride
        batch = self.engine.allocate(len(frames), -(-height // stride) * stride, -(-width // stride) * stride)
        for frame, target in zip(frames, batch.numpy(), strict=True):
            target[height:] = MEAN_COLOR
            target[:height, width:] = MEAN_COLOR
            if frame.shape[:2] == size:
                target[:height, :width] = frame
            else:
                target[:height, :width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        return batch

    def _decode(
        self, logits: Tensor, frame: tuple[int, ...], working: tuple[int, int], ratios: list[float]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Logits float[C, h, w] of one padded frame → mask and confidence at the frame's size."""
        ys, xs = (axis(f, w, r, logits.device) for f, w, r in zip(frame, working, ratios, strict=True))
        best, winner = logits.max(dim=0)
        mask = resized_argmax(logits, winner.to(torch.uint8), ys, xs)
        if not self._plain_ids:
            mask = self._class_ids[mask.int()]
        probability = (best - logits.logsumexp(dim=0)).exp()
        confidence = (resized(probability, ys, xs) * 255).round().to(torch.uint8)
        return mask.cpu().numpy(), confidence.cpu().numpy()

"""The engines that are compared: each is a function from frames to segmentations. One of them is the reference.

The node does not use ONNX Runtime, torch.compile and ``plain``, a simple loop in PyTorch; they are here for comparison
only. No library is loaded before it is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.engine import Engine, Scores
from unet_seg_ros.engine.decode import decode, scores_of
from unet_seg_ros.engine.threads import usable_cores
from unet_seg_ros.model.bundle import MEAN_COLOR, Bundle
from unet_seg_ros.model.geometry import Axis, working_size
from unet_seg_ros.segmenter import Segmentation, Segmenter, Timings

Frame = NDArray[np.uint8]
Segment = Callable[[Sequence[Frame]], Sequence[Segmentation]]
REFERENCE, PLAIN, AUTO = "float64", "plain", "auto"
ENGINES = (
    *("openvino int8", "openvino bf16", "openvino fp32"),
    *("pytorch bf16", "pytorch bf16 spinning", "pytorch fp32"),
    *("torch.compile bf16", "torch.compile fp32", "onnxruntime fp32"),
)
"""Names of library and precision. ``spinning`` is PyTorch with OpenMP's default waiting."""


def made(name: str, bundle: Bundle) -> Segment:
    """Make one of ``ENGINES``, ``REFERENCE``, ``PLAIN`` or ``AUTO`` (the engine of ``device: cpu``). The process must
    not have loaded PyTorch before.

    Raises the library's error if the engine cannot run here.
    """
    library, _, precision = name.partition(" ")
    if not precision.endswith(" spinning") and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the node does
    if name == AUTO:
        return Segmenter.load(bundle, "cpu")
    if name == PLAIN:
        return _plain(bundle)
    engine = MAKERS[library](bundle, precision.removesuffix(" spinning"))
    return Segmenter(engine, bundle.manifest, bundle.model_id)


def _openvino(bundle: Bundle, precision: str) -> Engine:
    from unet_seg_ros.engine.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, precision)


def _pytorch(bundle: Bundle, precision: str) -> Engine:
    from unet_seg_ros.engine.pytorch import TorchEngine

    return TorchEngine(bundle, "cpu", precision=precision)


def _compiled(bundle: Bundle, precision: str) -> Engine:
    """torch.compile with frozen weights. It compiles again for each shape."""
    import torch
    from torch._inductor import config

    from unet_seg_ros.engine.pytorch import TorchEngine

    engine = TorchEngine(bundle, "cpu", precision=precision)
    config.freezing = True
    engine._model = torch.compile(engine._model, dynamic=False)
    return engine


class _Compared:
    """An engine that computes only logits: ``run`` makes float32[N, C, h, w] from uint8[N, H, W, 3]."""

    device = "cpu"

    def __init__(self, bundle: Bundle, precision: str, run: Callable[[Frame], Any]) -> None:
        self.precision, self.stride, self._run = precision, bundle.manifest.config.stride, run

    def allocate(self, frames: int, height: int, width: int) -> Frame:
        return np.empty((frames, height, width, 3), np.uint8)

    def __call__(self, images: Frame) -> Sequence[Scores]:
        return [scores_of(logits) for logits in self._run(images)]

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[Frame, Frame]:
        return decode(*scores, ys, xs)


def _onnxruntime(bundle: Bundle, precision: str) -> Engine:
    import onnxruntime  # type: ignore[import-untyped]

    from training.exporting.onnx import write_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(path, bundle)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    std = np.array(bundle.manifest.std, np.float32)
    scale, shift = 1 / (255 * std), -np.array(bundle.manifest.mean, np.float32) / std

    def run(images: Frame) -> Any:
        normalised = (images * scale + shift).transpose(0, 3, 1, 2)
        return session.run(["logits"], {"images": np.ascontiguousarray(normalised)})[0]

    return _Compared(bundle, precision, run)


def _float64(bundle: Bundle, precision: str) -> Engine:
    """The trained network in double precision, with its batch normalisations."""
    import torch

    network = bundle.build().double()

    def run(images: Frame) -> Any:
        normalised = (images / 255 - bundle.manifest.mean) / bundle.manifest.std
        with torch.inference_mode():
            return network(torch.from_numpy(normalised.transpose(0, 3, 1, 2))).float().numpy()

    return _Compared(bundle, precision, run)


def _plain(bundle: Bundle) -> Segment:
    segment = plain(bundle)

    def several(frames: Sequence[Frame]) -> Sequence[Segmentation]:
        nothing = Timings(np.nan, np.nan, np.nan)
        return [Segmentation(*segment(frame), bundle.manifest.class_names, nothing) for frame in frames]

    return several


def plain(bundle: Bundle, device: str = "cpu") -> Callable[[Frame], tuple[Frame, Frame]]:
    """The simplest code from a frame uint8[H, W, 3] to mask and confidence: the same network under autocast in the
    device's precision, then logits, softmax and maximum at the frame's full size."""
    import torch
    from torch.nn import functional as F

    from unet_seg_ros.engine.pytorch import PRECISIONS, pick_precision

    target = torch.device(device)
    model = bundle.build().to(target)
    mean, std = (torch.tensor(v, device=target) for v in (bundle.manifest.mean, bundle.manifest.std))
    stride, precision = bundle.manifest.config.stride, PRECISIONS[pick_precision(target)]

    @torch.inference_mode()
    def segment(frame: Frame) -> tuple[Frame, Frame]:
        height, width = working_size(frame.shape[0], frame.shape[1], bundle.manifest.max_pixels)
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        below, right = -height % stride, -width % stride
        small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, None, MEAN_COLOR)
        x = ((torch.from_numpy(small).to(target).float() / 255 - mean) / std).permute(2, 0, 1)[None]
        with torch.autocast(target.type, precision, enabled=precision != torch.float32):
            logits = model(x)
        cell = x.shape[2] // logits.shape[2]
        logits = logits.float()[:, :, : -(-height // cell), : -(-width // cell)]
        logits = F.interpolate(logits, frame.shape[:2], mode="bilinear", align_corners=False)
        probability, mask = logits.softmax(dim=1).max(dim=1)
        return mask[0].byte().cpu().numpy(), (probability[0] * 255).byte().cpu().numpy()

    return segment


MAKERS: dict[str, Callable[[Bundle, str], Engine]] = {
    "openvino": _openvino,
    "pytorch": _pytorch,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    REFERENCE: _float64,
}

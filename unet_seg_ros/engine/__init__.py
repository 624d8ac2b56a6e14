"""Ways to execute a network: one module each, all with the interface ``Engine``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.model.geometry import Axis

PRECISIONS = ("auto", "fp32", "bf16", "int8")
"""Values of the parameter ``precision``. An engine reports what it uses, which on a GPU can also be ``fp16``."""


class OutOfMemory(RuntimeError):
    """The device has too little memory for this input; the engine can still process other inputs."""


class DeviceLost(RuntimeError):
    """The device no longer answers; the engine cannot be used again."""


class Scores(NamedTuple):
    """The network's output for one frame, at the logits' resolution h×w.

    NumPy arrays on a CPU, PyTorch tensors on a GPU. ``logits`` is float32[classes, h, w], ``winner`` uint8[h, w] their
    argmax over the classes, ``probability`` float32[h, w] the winner's softmax, 0..1. The engine's next call may
    overwrite them.
    """

    logits: Any
    winner: Any
    probability: Any


class Engine(Protocol):
    """Computes scores from padded frames, and masks from scores."""

    device: str
    """The device: ``cpu``, ``cuda:0``, …"""
    precision: str
    """Arithmetic of the network: ``fp32``, ``bf16``, ``fp16`` or ``int8``."""
    stride: int
    """Height and width of the input must be multiples of this."""

    def allocate(self, frames: int, height: int, width: int) -> NDArray[np.uint8]:
        """An input buffer uint8[frames, height, width, 3] in host memory; on a GPU it is pinned, for fast copies."""

    def __call__(self, images: NDArray[np.uint8]) -> Sequence[Scores]:
        """The scores of each RGB image in uint8[N, H, W, 3]; h divides H and w divides W.

        Raises OutOfMemory or DeviceLost."""

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Mask and confidence (0..255) of a frame, uint8[H, W]; see ``decode.decode``. Raises OutOfMemory or
        DeviceLost."""

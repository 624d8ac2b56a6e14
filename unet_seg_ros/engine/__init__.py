"""Ways to execute a network: one module each, all with the interface ``Engine``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the node imports this module to name its errors where PyTorch may still be missing
    from torch import Tensor


class OutOfMemory(RuntimeError):
    """The device has no memory for this input; the engine can go on with another."""


class DeviceLost(RuntimeError):
    """The device no longer answers; the engine is of no more use."""


class Engine(Protocol):
    """From a batch of padded frames to logits."""

    device: str
    """What it runs on: ``cpu``, ``cuda:0``, …"""
    precision: str
    """Arithmetic of the network: ``fp32``, ``bf16`` or ``fp16``."""
    stride: int
    """Height and width of the input must be multiples of this."""

    def allocate(self, frames: int, height: int, width: int) -> Tensor:
        """An input buffer, uint8[frames, height, width, 3] in host memory that the device copies from fast."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits float32[N, classes, h, w] on the engine's device, of RGB images uint8[N, H, W, 3].

        h divides H and w divides W. Raises OutOfMemory or DeviceLost.
        """

"""The loss of a network with logits at half the size, on a quarter of the pixels at each step."""

from __future__ import annotations

import torch
from torch import Tensor


def at_phase(logits: Tensor, labels: Tensor, phase: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bilinearly upsampled logits and labels at every second row and column, starting at ``phase``."""
    for dim, odd in zip((2, 3), phase, strict=True):
        size = logits.shape[dim]
        neighbour = torch.arange(size, device=logits.device).add(1 if odd else -1).clamp(0, size - 1)
        logits = 0.75 * logits + 0.25 * logits.index_select(dim, neighbour)
    return logits, labels[:, phase[0] :: 2, phase[1] :: 2]


def quarter(logits: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """What step number ``step`` compares: logits float[N, C, h, w] and labels [N, h, w] of labels at the image's size.

    Four steps in turn take all pixels, each at a quarter of the cost. Logits at the labels' own size are taken whole.
    """
    if logits.shape[-2:] == labels.shape[-2:]:
        return logits, labels
    return at_phase(logits, labels, (step % 2, step // 2 % 2))

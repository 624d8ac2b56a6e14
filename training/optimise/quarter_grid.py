"""The loss of a network with logits at half the size, on a quarter of the pixels at each step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _blend(x: Tensor, dim: int, upwards: bool, border: int) -> Tensor:
    """0.75 × each element + 0.25 × the one after (``upwards``) or before it; at the index ``border``: itself again."""
    rest = x.shape[dim] - 1
    out = 0.75 * x
    out.narrow(dim, 0 if upwards else 1, rest).add_(x.narrow(dim, 1 if upwards else 0, rest), alpha=0.25)
    out.select(dim, border).add_(x.select(dim, border), alpha=0.25)
    return out


class _Between(torch.autograd.Function):
    """Logits a quarter of the way to their neighbour along ``dim``; PyTorch's gradient takes twice as long."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        logits, ctx.dim, ctx.odd = arguments
        return _blend(logits, ctx.dim, ctx.odd, -1 if ctx.odd else 0)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _blend(gradients[0], ctx.dim, not ctx.odd, -1 if ctx.odd else 0), None, None


def at_phase(logits: Tensor, labels: Tensor, phase: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bilinearly upsampled logits and labels at every second row and column, starting at ``phase``."""
    for dim, odd in zip((2, 3), phase, strict=True):
        logits = _Between.apply(logits, dim, bool(odd))  # type: ignore[no-untyped-call]
    return logits, labels[:, phase[0] :: 2, phase[1] :: 2]


def quarter(logits: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The logits float[N, C, h, w] and labels [N, h, w] that step number ``step`` compares: a quarter of the pixels.

    Four consecutive steps use all pixels, each at a quarter of the cost. If the logits have the labels' size, every
    step uses all pixels.
    """
    if logits.shape[-2:] == labels.shape[-2:]:
        return logits, labels
    return at_phase(logits, labels, (step % 2, step // 2 % 2))

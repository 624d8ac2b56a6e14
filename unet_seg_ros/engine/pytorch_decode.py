"""The same as ``decode``, in PyTorch on a GPU: only mask and confidence are copied to the host."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet_seg_ros.engine import Scores
from unet_seg_ros.model.geometry import Axis

CHUNK = 1 << 16
"""Number of pixels that are interpolated at a time. It bounds the memory (5 MB for 19 classes)."""


class _Axis:
    """The needed fields of an ``Axis``, as tensors on the device."""

    def __init__(self, axis: Axis, device: torch.device) -> None:
        self.low, self.high, self.weight = (
            torch.from_numpy(array).to(device) for array in (axis.low, axis.high, axis.weight)
        )


def decode_on_device(scores: Scores, ys: Axis, xs: Axis) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Mask and confidence (0..255), uint8[H, W]."""
    device = scores.logits.device
    rows, columns = _Axis(ys, device), _Axis(xs, device)
    mask = _resized_argmax(scores.logits, scores.winner, rows, columns)
    confidence = (_resized(scores.probability, rows, columns) * 255).round().to(torch.uint8)
    return mask.cpu().numpy(), confidence.cpu().numpy()


def _resized(values: Tensor, ys: _Axis, xs: _Axis) -> Tensor:
    """float[h, w] resized bilinearly to float[H, W]."""
    rows = torch.lerp(values[ys.low], values[ys.high], ys.weight[:, None])
    return torch.lerp(rows[:, xs.low], rows[:, xs.high], xs.weight)


def _resized_argmax(logits: Tensor, winner: Tensor, ys: _Axis, xs: _Axis) -> Tensor:
    """The argmax of logits float[C, h, w] resized bilinearly, as uint8[H, W].

    ``winner`` is the logits' own argmax, uint8[h, w]. If the four logits around a pixel have the same argmax, so has
    any weighted mean of them; only the other pixels are interpolated.
    """
    below, right = torch.cat([winner[1:], winner[-1:]]), torch.cat([winner[:, 1:], winner[:, -1:]], dim=1)
    below_right = torch.cat([right[1:], right[-1:]])
    differs = (winner != right) | (winner != below) | (winner != below_right)
    mask = winner[ys.low][:, xs.low]
    pixels = differs[ys.low][:, xs.low].flatten().nonzero().squeeze(1)
    width, columns = logits.shape[2], len(xs.low)
    flat = logits.permute(1, 2, 0).reshape(-1, logits.shape[0])
    for some in torch.split(pixels, CHUNK):
        y, x = some.div(columns, rounding_mode="floor"), some % columns
        top, bottom, left, right_ = ys.low[y] * width, ys.high[y] * width, xs.low[x], xs.high[x]
        wx, wy = xs.weight[x, None], ys.weight[y, None]
        upper = torch.lerp(flat[top + left], flat[top + right_], wx)
        lower = torch.lerp(flat[bottom + left], flat[bottom + right_], wx)
        mask.view(-1)[some] = torch.lerp(upper, lower, wy).argmax(dim=1).to(torch.uint8)
    return mask

"""Between a frame's pixels and the network's logits: working size, and the exact way back.

Pixel centres lie at half-integers (PyTorch's ``align_corners=False``, OpenCV's ``resize``). A frame of height H is
worked on at height H', padded at the bottom to a multiple of the network's stride; the network puts out one row of
logits for every ``ratio`` working rows. Widths likewise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 1 << 16
"""Pixels interpolated at a time: bounds the full-size logits that exist at once (5 MB for 19 classes)."""


def working_size(height: int, width: int, max_pixels: int) -> tuple[int, int]:
    """Height and width that a frame is worked on at: its own, or shrunk to at most ``max_pixels``, aspect kept."""
    if height * width <= max_pixels:
        return height, width
    # height · sqrt(max_pixels / (height · width)), in whole numbers
    shrunk = math.isqrt(max_pixels * height // width), math.isqrt(max_pixels * width // height)
    return min(max(1, shrunk[0]), max_pixels), min(max(1, shrunk[1]), max_pixels)


class Axis(NamedTuple):
    """For each pixel along one side of the frame: the two logits it lies between, and its weight of the second."""

    low: Tensor
    high: Tensor
    weight: Tensor


def axis(frame: int, working: int, ratio: float, device: torch.device) -> Axis:
    """Where the ``frame`` pixels of a side fall between logits, ``ratio`` working pixels apart.

    ``working`` counts the side's working pixels without padding: beyond the last logit that they reach, the way is cut.
    """
    last = math.ceil(working / ratio) - 1
    centers = torch.arange(frame, dtype=torch.float64, device=device) + 0.5
    position = (centers * (working / (frame * ratio)) - 0.5).clamp(0, last)
    low = position.floor().long()
    return Axis(low, (low + 1).clamp(max=last), (position - low).float())


def resized(values: Tensor, ys: Axis, xs: Axis) -> Tensor:
    """float[h, w] resized bilinearly to float[H, W]."""
    rows = torch.lerp(values[ys.low], values[ys.high], ys.weight[:, None])
    return torch.lerp(rows[:, xs.low], rows[:, xs.high], xs.weight)


def resized_argmax(logits: Tensor, winner: Tensor, ys: Axis, xs: Axis) -> Tensor:
    """The argmax of logits float[C, h, w] resized bilinearly, as uint8[H, W], without ever having them all.

    ``winner`` is the logits' own argmax, uint8[h, w]. Where the four logits around a pixel agree in their argmax, so
    does any mean of them; only the other pixels are interpolated.
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

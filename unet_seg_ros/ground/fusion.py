"""Merges the layers of several cameras into one grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.layer import Layer

SHARE = 0.5
"""A layer counts in a cell if its weight there is at least this share of the largest weight."""


def fuse(layers: Sequence[Layer]) -> NDArray[np.uint8]:
    """The merged costs of layers of one grid, uint8[rows, columns], 0..100 or 255 (unknown).

    A cell gets the highest cost among the layers whose weight is at least half of the largest weight. So an obstacle
    in one layer is kept, unless another layer sees the cell much better. There must be at least one layer.
    """
    if len(layers) == 1:
        return layers[0].cost
    weight = np.stack([layer.weight for layer in layers])
    cost = np.stack([layer.cost for layer in layers])
    counts = (weight > 0) & (weight >= SHARE * weight.max(0))
    return np.asarray(np.where(counts.any(0), np.where(counts, cost, 0).max(0), np.uint8(UNKNOWN)))

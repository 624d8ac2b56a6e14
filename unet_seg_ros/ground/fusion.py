"""One grid from several cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.layer import Layer

SAY = 0.5
"""A layer has a say in a cell if its weight there is at least this share of the largest one."""


def fuse(layers: Sequence[Layer]) -> NDArray[np.uint8]:
    """Costs of layers of one grid together, uint8[rows, columns], 0..100 or 255 (unknown).

    In each cell the highest cost counts among the layers that are at least half as sure as the surest one: an
    obstacle is not outvoted, unless it is seen much worse than the free ground. ``layers`` holds at least one.
    """
    if len(layers) == 1:
        return layers[0].cost
    weight = np.stack([layer.weight for layer in layers])
    cost = np.stack([layer.cost for layer in layers])
    speaks = (weight > 0) & (weight >= SAY * weight.max(0))
    return np.asarray(np.where(speaks.any(0), np.where(speaks, cost, 0).max(0), np.uint8(UNKNOWN)))

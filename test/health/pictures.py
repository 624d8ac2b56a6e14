"""Frames of the synthetic town, and functions that degrade them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.synthetic import DriveConfig, drive
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID

Array = NDArray[np.uint8]


@lru_cache(maxsize=2)
def street(count: int = 12) -> tuple[tuple[Array, Array], ...]:
    """Frames uint8[240, 320, 3] one second apart, and their masks of train ids."""
    config = DriveConfig(seed=3, width=320, height=240, fps=1, seconds=count)
    return tuple((frame.image, ID_TO_TRAIN_ID[frame.label]) for frame in drive(config))

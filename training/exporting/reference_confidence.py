"""Measures a network's confidence on its validation frames. Later, a camera's frames are compared with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.config import TrainConfig
from training.exporting.equivalence import spread
from unet_seg_ros.data.cityscapes import splits
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.segmenter import Segmenter

FRAMES = 40
"""Number of frames of each folder."""


def reference_confidence(bundle: Bundle, config: TrainConfig) -> float:
    """Mean confidence, 0..1, over frames of the validation split of the run's folders, each folder with one weight.

    0 (not measured) if no folder has that split. Raises ValueError for a frame that cannot be read.
    """
    roots = [source.root for source in config.data]
    split = "val"
    if config.validation:
        roots.insert(0, config.validation.root)
        split = config.validation.split
    segmenter = Segmenter.load(bundle, "cpu")
    means = []
    for root in dict.fromkeys(map(Path, roots)):
        if split in splits(root):
            frames = spread(root, split, FRAMES)
            means.append(np.mean([segmenter([frame])[0].confidence.mean() for frame in frames]) / 255)
    return round(float(np.mean(means)), 4) if means else 0.0

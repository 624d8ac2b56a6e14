"""Measures the accuracy of the newest mask that has arrived, by the rate of the camera."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.dataset import labelled_pairs, read_pair
from training.data.label_sets import to_train_ids
from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.metrics.streaming import Moment, Streaming
from unet_seg_ros.segmenter import Segmenter

RATES = (5.0, 10.0, 15.0)
"""Rates of a camera in Hz."""


class Streamed(NamedTuple):
    """``mious`` (0..1) by rate in Hz; ``latency`` is the median time per frame on this machine in seconds."""

    mious: dict[float, float]
    latency: float


def streamed(segmenter: Segmenter, root: Path, split: str, grouping: Grouping, class_map: str) -> Streamed:
    """Play the frames of a split in Cityscapes layout as one drive, in order of their names, at each of ``RATES``.

    Raises ValueError or FileNotFoundError for data that cannot be read.
    """
    train_ids = to_train_ids(class_map)
    found = {rate: Streaming(grouping) for rate in RATES}
    latencies = []
    segmenter.warm_up()
    for index, pair in enumerate(labelled_pairs(root, split)):
        image, label_ids = read_pair(pair)
        seen = segmenter([image])[0]
        latencies.append(sum(seen.timings))
        for rate, streaming in found.items():
            streaming.take("camera", Moment(index / rate, latencies[-1]), seen.mask, train_ids[label_ids])
    mious = {rate: streaming.confusion.mean_iou() for rate, streaming in found.items()}
    return Streamed(mious, float(np.median(latencies)))

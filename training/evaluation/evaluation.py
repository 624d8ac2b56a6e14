"""Measures a bundle on a labelled split; ``training.evaluate`` is the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.dataset import labelled_pairs, read_pair
from training.data.label_sets import strange_ids, to_train_ids
from training.evaluation.test_time_augmentation import Looks, segment
from unet_seg_ros.data.cityscapes import Pair
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, Grouping
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.scorer import Score
from unet_seg_ros.segmenter import Segmenter

Mask = NDArray[np.uint8]


class FrameScore(NamedTuple):
    """A frame's own figures, 0..1; NaN for a frame without labelled pixels."""

    pair: Pair
    miou: float
    pixel_accuracy: float


class Evaluation:
    """All figures over all frames. ``class_map`` gives the meaning of the label ids in the files.

    Raises FileNotFoundError or ValueError for a class map that cannot be used.
    """

    def __init__(self, grouping: Grouping, class_map: str = "cityscapes") -> None:
        self.train_ids = to_train_ids(class_map)
        self.score = Score(grouping)
        self.categories = ConfusionMatrix(GROUPINGS["categories"])
        self.frames: list[FrameScore] = []

    def update(self, pair: Pair, label: Mask, mask: Mask, confidence: Mask) -> None:
        """Add a frame: train ids of label and mask, confidence 0..255, all H×W uint8."""
        # One name for all frames, because the last mask of each name is kept.
        own = self.score.take("", mask, confidence, label)
        self.categories.update(label, mask)
        self.frames.append(FrameScore(pair, own["miou"], own["pixel_accuracy"]))

    def summary(self) -> dict[str, float]:
        """The figures of all frames, 0..1; NaN if there are no such pixels."""
        return {
            "miou": self.score.confusion.mean_iou(),
            "category_miou": self.categories.mean_iou(),
            "boundary_miou": self.score.boundary.mean_iou(),
            "pixel_accuracy": self.score.confusion.pixel_accuracy(),
            "expected_calibration_error": self.score.calibration.ece(),
        }


def check_classes(segmenter: Segmenter) -> None:
    """Raises ValueError if the bundle's classes are not Cityscapes' 19."""
    if segmenter.manifest.class_names != CLASS_NAMES:
        raise ValueError(f"{segmenter.model_id}: its classes are not Cityscapes' {len(CLASS_NAMES)}")


def evaluate(
    segmenter: Segmenter,
    root: Path,
    split: str,
    grouping: Grouping,
    cities: Sequence[str] = (),
    looks: Looks | None = None,
    class_map: str = "cityscapes",
) -> Evaluation:
    """Measure all frames of a split in Cityscapes layout, or those of ``cities``, each at its full size.

    ``class_map`` says what the label ids mean. The masks are those of the Segmenter or, with ``looks``, those of the
    mean over several predictions.
    Raises ValueError if the bundle's classes are not Cityscapes' 19, a file cannot be read, a city is not there or the
    labels are train ids or have no id of the class map, FileNotFoundError if split or label is missing.
    """
    check_classes(segmenter)
    evaluation, pixels = Evaluation(grouping, class_map), np.zeros(256, np.int64)
    title = "averaged" if looks else "Segmenter"
    for pair in tqdm(labelled_pairs(root, split, cities=cities), title, unit="frame", dynamic_ncols=True):
        image, label_ids = read_pair(pair)
        if looks:
            mask, confidence = segment(segmenter, image, looks)
        else:
            seen = segmenter([image])[0]
            mask, confidence = seen.mask, seen.confidence
        evaluation.update(pair, evaluation.train_ids[label_ids], mask, confidence)
        pixels += np.bincount(label_ids.ravel(), minlength=256)
    if strange := strange_ids(np.flatnonzero(pixels).tolist(), class_map):
        raise ValueError(f"{root}, {split}: {strange}")
    return evaluation

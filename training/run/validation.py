"""Measures the weights of a run on validation frames, with the same Segmenter that runs in the car."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.config import ValidationConfig
from training.data.dataset import FileFrames, labelled_pairs, read_pair
from training.data.label_sets import strange_ids, to_train_ids
from training.run.logbook import picture
from unet_seg_ros.data.cityscapes import Pair
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.segmenter import Segmenter

PICTURES = 4


def validation_pairs(config: ValidationConfig) -> list[Pair]:
    """The frames to measure on. Raises FileNotFoundError or ValueError if there are none."""
    return labelled_pairs(Path(config.root), config.split, cities=config.cities)


def check_validation(config: ValidationConfig) -> None:
    """Read all frames, so that what cannot be measured on is found before the first step, not after hours.

    Raises FileNotFoundError or ValueError that names the file or the class map.
    """
    to_train_ids(config.class_map)
    counts = FileFrames(validation_pairs(config)).counts.sum(axis=0)
    if strange := strange_ids(np.flatnonzero(counts).tolist(), config.class_map):
        raise ValueError(f"validation, {config.root}, {config.split}: {strange}")


def validate(
    bundle: Bundle, config: ValidationConfig, device: torch.device
) -> tuple[ConfusionMatrix, list[NDArray[np.uint8]]]:
    """Confusion matrix over the validation frames at full size, and pictures of a few of them, evenly spread.

    Raises ValueError for a city that the split does not have.
    """
    segmenter = Segmenter.load(bundle, str(device))
    pairs, table = validation_pairs(config), to_train_ids(config.class_map)
    matrix, pictures = ConfusionMatrix(GROUPINGS[config.grouping]), []
    for number, pair in enumerate(pairs):
        image, label_ids = read_pair(pair)
        label, mask = table[label_ids], segmenter([image])[0].mask
        matrix.update(label, mask)
        if number % -(-len(pairs) // PICTURES) == 0:
            pictures.append(picture(image, label, mask))
    if not matrix.matrix.any():
        raise ValueError(f"{config.root}, {config.split}: no pixel of its labels has a class: nothing to validate with")
    return matrix, pictures

"""Measure a bundle on a labelled split: ``python -m training.evaluate BUNDLE ROOT SPLIT [--grouping camvid11]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from training.data import labelled_pairs, read_pair
from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, Grouping
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.segmenter import Segmenter


def evaluate(segmenter: Segmenter, root: Path, split: str, grouping: Grouping) -> ConfusionMatrix:
    """Confusion matrix over all frames of a split in Cityscapes layout, each at its full size.

    Raises ValueError if the bundle's classes are not Cityscapes' 19 or a file cannot be read, FileNotFoundError if the
    split or a label is missing.
    """
    if segmenter.manifest.class_names != CLASS_NAMES:
        raise ValueError(f"{segmenter.model_id}: its classes are not Cityscapes' {len(CLASS_NAMES)}")
    matrix = ConfusionMatrix(grouping)
    for pair in tqdm(labelled_pairs(root, split), unit="frame", dynamic_ncols=True):
        image, label_ids = read_pair(pair)
        matrix.update(ID_TO_TRAIN_ID[label_ids], segmenter([image])[0].mask)
    return matrix


def table(matrix: ConfusionMatrix) -> str:
    """IoU per class, mIoU and pixel accuracy, in percent; – for a class that occurs in neither labels nor masks."""
    rows = [*zip(matrix.grouping.names, matrix.iou(), strict=True)]
    rows += [("mIoU", matrix.mean_iou()), ("pixel accuracy", matrix.pixel_accuracy())]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {'–' if value != value else f'{100 * value:.1f}':>5}" for name, value in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="model bundle (.safetensors)")
    parser.add_argument("root", type=Path, help="folder in Cityscapes layout")
    parser.add_argument("split", help="for example val")
    parser.add_argument("--grouping", choices=GROUPINGS, default="cityscapes19", help="classes to tell apart")
    arguments = parser.parse_args()
    try:
        segmenter = Segmenter.load(arguments.bundle)
        print(table(evaluate(segmenter, arguments.root, arguments.split, GROUPINGS[arguments.grouping])))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

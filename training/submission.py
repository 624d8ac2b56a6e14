"""A submission to the Cityscapes test server: ``python -m training.submission BUNDLE DATA OUTPUT [--split test]``.

It is one PNG of label ids per image, named CITY_SEQ_FRAME.png, which cityscapesScripts'
``evalPixelLevelSemanticLabeling`` finds.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.evaluation.evaluation import check_classes
from training.interruption import end_in_one_line
from unet_seg_ros.data.cityscapes import Pair, find_pairs
from unet_seg_ros.data.image_files import read_image, read_label, write_image
from unet_seg_ros.data.labels import LABELS, TRAIN_ID_TO_ID, TRAIN_LABELS
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.text import never_fail_to_print


def write_submission(segmenter: Segmenter, root: Path, split: str, output: Path) -> int:
    """Segment all images of a split, write the files and read them back. Returns the number of images.

    Raises ValueError if the bundle's classes are not Cityscapes' 19, if a name does not have the form that the
    evaluation needs, if an image cannot be read or if a written file is wrong; FileNotFoundError if there is no such
    split; FileExistsError if ``output`` is not empty; OutOfMemory and DeviceLost if the engine does.
    """
    check_classes(segmenter)
    pairs = find_pairs(root, split)
    _check_names(pairs)
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise FileExistsError(f"{output}: the folder is not empty; give an empty or new one")
    for pair in tqdm(pairs, unit="image", dynamic_ncols=True):
        image, path = read_image(pair.image), output / f"{pair.name}.png"
        write_image(path, TRAIN_ID_TO_ID[segmenter([image])[0].mask])
        check_file(path, (image.shape[0], image.shape[1]))
    found = len(list(output.iterdir()))
    if found != len(pairs):
        raise ValueError(f"{output}: there are {found} files for {len(pairs)} images")
    return found


def _check_names(pairs: list[Pair]) -> None:
    """Each name must have three parts, and no name may begin with another: the evaluation searches
    CITY_SEQ_FRAME*.png."""
    for pair in pairs:
        if pair.name.count("_") != 2:
            raise ValueError(f"{pair.image}: the test server needs names of the form CITY_SEQ_FRAME, not {pair.name}")
    for first, second in pairwise(sorted(pair.name for pair in pairs)):
        if second.startswith(first):
            raise ValueError(f"{first} and {second}: the test server cannot tell their files apart")


def check_file(path: Path, size: tuple[int, int]) -> None:
    """Raises ValueError unless the file has ``size`` (height, width) and holds only label ids that are evaluated."""
    ids = read_label(path)
    if ids.shape != size:
        raise ValueError(f"{path}: {ids.shape} pixels (height, width), but its image has {size}")
    ignored = np.setdiff1d(ids, [label.id for label in TRAIN_LABELS])
    if len(ignored):
        name = LABELS[ignored[0]].name if ignored[0] < len(LABELS) else "no class"
        raise ValueError(f"{path}: holds label id {ignored[0]} ({name}), which is not evaluated")


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(
        prog="python -m training.submission", description="Write the files for the Cityscapes test server."
    )
    parser.add_argument("bundle", type=Path, help="model bundle (.safetensors)")
    parser.add_argument("root", type=Path, metavar="data", help="folder in Cityscapes layout; labels are not needed")
    parser.add_argument("output", type=Path, help="folder for the files; must be empty or not exist")
    parser.add_argument("--split", default="test", help="default: test")
    arguments = parser.parse_args()
    try:
        segmenter = Segmenter.load(arguments.bundle)
        number = write_submission(segmenter, arguments.root, arguments.split, arguments.output)
    except (OSError, ValueError, OutOfMemory, DeviceLost) as error:
        raise SystemExit(str(error)) from error
    print(f"{arguments.output}: {number} files, checked; pack them into one archive to submit")


if __name__ == "__main__":
    main()

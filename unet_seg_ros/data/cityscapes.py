"""The Cityscapes folder layout: which image belongs to which label file, and reading them.

``ROOT/leftImg8bit/SPLIT/CITY/CITY_SEQ_FRAME_leftImg8bit.png`` (or ``.jpg``) and
``ROOT/gtFine/SPLIT/CITY/CITY_SEQ_FRAME_gtFine_labelIds.png``, or ``gtCoarse`` in place of ``gtFine``, as
cityscapesScripts reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE_FOLDER = "leftImg8bit"
LABEL_FOLDERS = ("gtFine", "gtCoarse")
IMAGE_SUFFIXES = (".png", ".jpg")

Array = NDArray[np.uint8]


class Pair(NamedTuple):
    """An image and its label file; ``label`` is None where the file does not exist. ``name`` is CITY_SEQ_FRAME."""

    name: str
    image: Path
    label: Path | None


def image_path(root: Path, split: str, city: str, name: str, suffix: str = ".png") -> Path:
    """Where the image of frame ``name`` (CITY_SEQ_FRAME) lies."""
    return root / IMAGE_FOLDER / split / city / f"{name}_{IMAGE_FOLDER}{suffix}"


def label_path(root: Path, split: str, city: str, name: str, labels: str = "gtFine") -> Path:
    """Where the label ids of frame ``name`` (CITY_SEQ_FRAME) lie; ``labels`` is one of ``LABEL_FOLDERS``."""
    return root / labels / split / city / f"{name}_{labels}_labelIds.png"


def splits(root: Path) -> list[str]:
    """Names of the splits under ``root``, sorted; empty if ``root`` is not laid out as Cityscapes."""
    folder = root / IMAGE_FOLDER
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def find_pairs(root: Path, split: str, labels: str = "gtFine") -> list[Pair]:
    """All images of one split with their label files, ordered by name (within a sequence: by time).

    ``labels`` is one of ``LABEL_FOLDERS``.

    Raises FileNotFoundError, naming the splits that exist, if the split is missing or has no images.
    """
    folder = root / IMAGE_FOLDER / split
    images = [p for p in folder.glob(f"*/*_{IMAGE_FOLDER}.*") if p.suffix in IMAGE_SUFFIXES]
    if not images:
        raise FileNotFoundError(
            f"{folder}: no images named CITY/CITY_SEQ_FRAME_{IMAGE_FOLDER}.png or .jpg; "
            f"splits under {root}: {', '.join(splits(root)) or 'none'}"
        )
    pairs = []
    for image in sorted(images):
        name = image.stem.removesuffix(f"_{IMAGE_FOLDER}")
        label = label_path(root, split, image.parent.name, name, labels)
        pairs.append(Pair(name, image, label if label.is_file() else None))
    return pairs


def read_image(path: Path) -> Array:
    """An image file as H×W×3 uint8 RGB, its pixels as they lie. Raises ValueError if it cannot be decoded."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)  # labels are not rotated either
    if bgr is None:
        raise ValueError(f"{path}: not an image that can be read")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def read_label(path: Path) -> Array:
    """A file of label ids as H×W uint8. Raises ValueError if it is not a single-channel 8-bit image."""
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if label is None or label.dtype != np.uint8 or label.ndim != 2:
        raise ValueError(f"{path}: not an 8-bit single-channel image, as label ids are")
    return np.asarray(label, np.uint8)

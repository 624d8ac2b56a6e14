"""The Cityscapes folder layout: which image belongs to which label file.

``ROOT/leftImg8bit/SPLIT/CITY/CITY_SEQ_FRAME_leftImg8bit.png`` (or another picture) and
``ROOT/gtFine/SPLIT/CITY/CITY_SEQ_FRAME_gtFine_labelIds.png``, or ``gtCoarse`` in place of ``gtFine``, as
cityscapesScripts reads it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from unet_seg_ros.data.image_files import is_picture
from unet_seg_ros.files import natural_order
from unet_seg_ros.text import listed

IMAGE_FOLDER = "leftImg8bit"
LABEL_FOLDERS = ("gtFine", "gtCoarse")


class Pair(NamedTuple):
    """An image and its label file; ``label`` is None where the file does not exist. ``name`` is CITY_SEQ_FRAME."""

    name: str
    image: Path
    label: Path | None


def frame_name(city: str, number: int) -> str:
    """As Cityscapes names its frames: CITY_SEQ_FRAME."""
    return f"{city}_000000_{number:06}"


def image_path(root: Path, split: str, city: str, name: str, suffix: str = ".png") -> Path:
    """The path of the image of frame ``name`` (CITY_SEQ_FRAME)."""
    return root / IMAGE_FOLDER / split / city / f"{name}_{IMAGE_FOLDER}{suffix}"


def label_path(root: Path, split: str, city: str, name: str, labels: str = "gtFine", ids: str = "labelIds") -> Path:
    """The path of the label ids of frame ``name`` (CITY_SEQ_FRAME), or of its other ``ids``, such as ``instanceIds``;
    ``labels`` is one of ``LABEL_FOLDERS``."""
    return root / labels / split / city / f"{name}_{labels}_{ids}.png"


def splits(root: Path) -> list[str]:
    """Names of the splits under ``root``, sorted; empty if ``root`` is not laid out as Cityscapes."""
    folder = root / IMAGE_FOLDER
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        if folder.is_dir()
        else []
    )


def find_pairs(root: Path, split: str, labels: str = "gtFine") -> list[Pair]:
    """All images of one split with their label files, ordered by name (within a sequence: by time).

    ``labels`` is one of ``LABEL_FOLDERS``. Suffixes may be in capitals; hidden files and folders are skipped.

    Raises FileNotFoundError, naming the splits that exist, if the split is missing or has no images.
    """
    folder = root / IMAGE_FOLDER / split
    images = [path for path in _files(folder) if path.stem.endswith(f"_{IMAGE_FOLDER}") and is_picture(path)]
    if not images:
        raise FileNotFoundError(
            f"{folder}: no images named CITY/CITY_SEQ_FRAME_{IMAGE_FOLDER}.png (or .jpg, .jpeg, .bmp); "
            f"splits under {root}: {', '.join(splits(root)) or 'none'}"
        )
    existing = {path.relative_to(root).as_posix().lower(): path for path in label_files(root, split, labels)}
    pairs = []
    for image in images:
        name = image.stem.removesuffix(f"_{IMAGE_FOLDER}")
        label = label_path(root, split, image.parent.name, name, labels)
        pairs.append(Pair(name, image, existing.get(label.relative_to(root).as_posix().lower())))
    return pairs


def label_files(root: Path, split: str, labels: str = "gtFine") -> list[Path]:
    """All files of label ids in one split, with or without an image, sorted."""
    ending = f"_{labels}_labelIds.png".lower()
    return [path for path in _files(root / labels / split) if path.name.lower().endswith(ending)]


def missing_labels(root: Path, split: str, labels: str = "gtFine") -> str:
    """A sentence for a split that has a folder for labels, but no label file in it: which name was looked for, and
    which files are there. Empty if the split has labels, or has no folder for them."""
    folder = root / labels / split
    if label_files(root, split, labels) or not folder.is_dir():
        return ""
    kinds = Counter(path.name[path.name.rfind("_") :] for path in _files(folder))
    there = listed([f"{count} files …{ending}" for ending, count in kinds.most_common(5)]) or "nothing"
    hint = "; give train ids with --labels and --label-ids train" if "_labelTrainIds.png" in kinds else ""
    return f"{folder}: no labels: no file is named CITY/CITY_SEQ_FRAME_{labels}_labelIds.png; there is {there}{hint}"


def unpaired(root: Path, split: str, pairs: list[Pair]) -> list[str]:
    """A sentence for the images that share a label, for those without a label where others have one, and for the labels
    without an image."""
    used = {pair.label for pair in pairs if pair.label}
    without = [pair.image for pair in pairs if pair.label is None]
    strays = [path for path in label_files(root, split) if path not in used]
    found = shared_labels(pairs)
    if used and without:
        found.append(f"{without[0]}: {len(without)} of {len(pairs)} images have no label file, this is the first")
    if strays:
        found.append(f"{strays[0]}: label files without an image: {len(strays)}, this is the first")
    return found


def shared_labels(pairs: list[Pair]) -> list[str]:
    """A sentence for the images that have the same label file, because their names differ only in the suffix or in
    capitals."""
    owners = Counter(pair.label for pair in pairs if pair.label)
    shared = [pair.image for pair in pairs if pair.label and owners[pair.label] > 1]
    return [f"{shared[0]}: {len(shared)} images have the same label file as another image"] if shared else []


def _files(folder: Path) -> list[Path]:
    """The files in the cities below ``folder``, sorted, without hidden ones. A broken link is included, so that reading
    it gives an error."""
    if not folder.is_dir():
        return []
    cities = [city for city in folder.iterdir() if city.is_dir() and not city.name.startswith(".")]
    found = [path for city in cities for path in city.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    return sorted(found, key=lambda path: (path.parent.name, natural_order(path)))

"""The frames for the measurement of trust: labelled data sets, each treated as one drive, videos, and images without
labels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.label_sets import class_map_path, read_class_map
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image, read_label

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """``path`` is a folder in Cityscapes layout with its ``split`` and ``class_map``, a video, or a folder of images.
    It is relative to the folder that the environment variable UNET_SEG_DATA names."""

    name: str
    path: str
    split: str = ""
    class_map: str = ""


MANY_PLACES = "California, Boston, Karlsruhe"
"""Single images by day and by night, which are not a drive."""
CHOOSE = (
    Source("CamVid train", "camvid", "train", "camvid"),
    Source("IDD train", "idd", "train", "idd7"),
    Source("motorway video", "solidWhiteRight.mp4"),
)
"""The thresholds are chosen on these sources."""
JUDGE = (
    Source("CamVid val", "camvid", "val", "camvid"),
    Source("IDD val", "idd", "val", "idd7"),
    Source("Cityscapes val", "cityscapes256", "val", "cityscapes"),
    Source("city video", "carnd_test_video.mp4"),
    Source(MANY_PLACES, "unlabelled"),
)
"""Trust is evaluated on these sources."""


@dataclass(frozen=True)
class Frames:
    """``images`` uint8[H, W, 3] RGB in order, ``labels`` (label ids, or None), and the seconds between two frames."""

    images: list[Array]
    labels: list[Array | None]
    apart: float


def data_folder() -> Path:
    """The folder of the data sets. Raises ValueError if UNET_SEG_DATA does not name a folder."""
    folder = Path(os.environ.get("UNET_SEG_DATA", ""))
    if not os.environ.get("UNET_SEG_DATA") or not folder.is_dir():
        raise ValueError("the environment variable UNET_SEG_DATA must name the folder of the data sets")
    return folder


def read(source: Source, most: int) -> Frames:
    """Read at most ``most`` evenly spread frames of a source. Raises ValueError or FileNotFoundError if there are
    none."""
    path = data_folder() / source.path
    if source.split:
        pairs = _spread(find_pairs(path, source.split), most)
        labels = [read_label(pair.label) if pair.label else None for pair in pairs]
        return Frames([read_image(pair.image) for pair in pairs], labels, 1.0)
    if path.is_dir():
        images = [read_image(file) for file in _spread(sorted(path.glob("*.jpg")), most)]
        return Frames(images, [None] * len(images), 1.0)
    images, rate = _video(path)
    chosen = _spread(images, most)
    return Frames(chosen, [None] * len(chosen), len(images) / len(chosen) / rate)


def _spread(items: list, most: int) -> list:  # type: ignore[type-arg]
    return items[:: max(1, -(-len(items) // most))]


def _video(path: Path) -> tuple[list[Array], float]:
    video = cv2.VideoCapture(str(path))
    images = []
    while True:
        there, image = video.read()
        if not there:
            break
        images.append(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
    if not images:
        raise ValueError(f"{path}: not a video that can be read")
    return images, video.get(cv2.CAP_PROP_FPS)


class Marks:
    """The accuracy of a mask if a label stands for a set of classes: each class of the set is correct.

    If no class is in two sets, this is the usual IoU.
    """

    def __init__(self, class_map: str) -> None:
        self.sets = read_class_map(class_map_path(class_map))

    def mean_iou(self, label: Array, mask: Array) -> float:
        """The mean IoU of one frame over the labels that occur or are predicted wrongly; NaN without labelled pixels.

        ``label`` holds the data set's ids, ``mask`` train ids, both uint8[H, W].
        """
        codes = label.ravel().astype(np.int64) * 256 + mask.ravel()
        counts = np.bincount(codes, minlength=1 << 16).reshape(256, 256)
        wrong = counts.copy()
        for label_id, classes in self.sets.items():
            wrong[label_id, list(classes)] = 0
        ious = []
        known = list(self.sets)
        for label_id, classes in self.sets.items():
            right = counts[label_id, list(classes)].sum()
            missed = wrong[label_id].sum()
            others = [other for other in known if other != label_id]
            false = wrong[np.ix_(others, list(classes))].sum()
            if right + missed + false:
                ious.append(right / (right + missed + false))
        return float(np.mean(ious)) if ious else float("nan")

"""``--select``: the frames of a drive that are most worth labelling by people, as a data set in Cityscapes layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unet_seg_ros.data.cityscapes import frame_name, image_path, label_path
from unet_seg_ros.data.different_frames import Candidates
from unet_seg_ros.data.image_files import write_image
from unet_seg_ros.data.labels import CLASS_NAMES, TRAIN_ID_TO_ID
from unet_seg_ros.files import write_atomically
from unet_seg_ros.health.trust import Health
from unet_seg_ros.replay.source.drive import Array, Drive, message_pixels
from unet_seg_ros.segmenter import Segmentation
from unet_seg_ros.text import cell

SPLIT = "train"
LIST = "selected.csv"
INSTANCES = "instanceIds"
"""Label tools read this file of Cityscapes. A class whose objects are not told apart has its label id in it."""
COLUMNS = ["image", "topic", "stamp_ns", "doubt", "trust", "flags", "reason"]
NOTHING_TO_LABEL = frozenset({"frozen", "incomplete", "torn"})
"""Flags of pictures that no label makes useful."""


def doubt(health: Health, figures: Mapping[str, Any]) -> float:
    """How doubtful a frame is, 0..1: the mean of what is missing from trust, from the mean confidence and, with a
    second model, from the agreement of the two."""
    parts = [health.trust, figures["mean_confidence"], figures.get("agreement", np.nan)]
    return 1 - float(np.nanmean(parts))


class Selection:
    """Takes in the frames of a drive; ``count`` of them are chosen."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._candidates: Candidates[int] = Candidates()
        self._doubts: dict[int, float] = {}

    def take(self, index: int, image: Array, health: Health, figures: Mapping[str, Any]) -> None:
        """A frame that was segmented: its index in the drive, H×W×3 uint8 RGB, and its figures by name."""
        if not NOTHING_TO_LABEL & set(health.flags):
            self._doubts[index] = doubt(health, figures)
            self._candidates.add(index, image, self._doubts[index])

    def chosen(self) -> dict[int, float]:
        """The doubt of each chosen frame, by its index in the drive."""
        return {index: self._doubts[index] for index in self._candidates.most_different(self._count)}


def write_selection(
    folder: Path,
    chosen: Mapping[int, float],
    drive: Drive,
    frames: pd.DataFrame,
    segment: Callable[[str, Array], Segmentation],
) -> None:
    """Read the drive again and write the ``chosen`` frames (doubt by index), with the masks of ``segment`` (of a
    camera's frame) as proposals if its classes are those of Cityscapes, and a list. ``frames`` is the table of the
    replay. Raises OSError and SourceError."""
    rows = []
    table = frames.set_index("index")
    for index, frame in enumerate(drive.frames()):
        if index not in chosen:
            continue
        image = message_pixels(frame.message)
        city = drive.city(frame.camera)
        name = frame_name(city, index)
        path = image_path(folder, SPLIT, city, name)
        write_image(path, image)
        found = segment(frame.camera, image)
        if found.class_names == CLASS_NAMES:
            proposal = TRAIN_ID_TO_ID[found.mask]
            for ids in ("labelIds", INSTANCES):
                write_image(label_path(folder, SPLIT, city, name, ids=ids), proposal)
        told = table.loc[index]
        rows.append({"image": path.relative_to(folder).as_posix(), "doubt": chosen[index], **told[_TOLD].to_dict()})
        if len(rows) == len(chosen):  # a damaged end is not read again
            break
    write_atomically(folder / LIST, pd.DataFrame(rows, columns=COLUMNS).map(cell).to_csv(index=False))


_TOLD = [name for name in COLUMNS if name not in ("image", "doubt")]

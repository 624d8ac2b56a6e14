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
"""Tools for labelling read this file of Cityscapes. It holds the label id of a class whose objects are not
separated."""
COLUMNS = ["image", "topic", "stamp_ns", "doubt", "trust", "flags", "reason"]
NOTHING_TO_LABEL = frozenset({"frozen", "incomplete", "torn"})
"""Frames with one of these flags are not chosen, because a label would not make them useful."""


def doubt(health: Health, figures: Mapping[str, Any]) -> float:
    """The doubt about a frame, 0..1: 1 minus the mean of its trust, its mean confidence and, with a second model, the
    agreement of the two models."""
    parts = [health.trust, figures["mean_confidence"], figures.get("agreement", np.nan)]
    return 1 - float(np.nanmean(parts))


class Selection:
    """Collects the frames of a drive and chooses ``count`` of them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._candidates: Candidates[int] = Candidates()
        self._doubts: dict[int, float] = {}

    def take(self, index: int, image: Array, health: Health, figures: Mapping[str, Any]) -> None:
        """Add a segmented frame: its index in the drive, its image H×W×3 uint8 RGB, its health and its figures by
        name."""
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
        row = table.loc[index]
        rows.append(
            {"image": path.relative_to(folder).as_posix(), "doubt": chosen[index], **row[_FROM_TABLE].to_dict()}
        )
        if len(rows) == len(chosen):  # so a damaged end of the drive is not read again
            break
    write_atomically(folder / LIST, pd.DataFrame(rows, columns=COLUMNS).map(cell).to_csv(index=False))


_FROM_TABLE = [name for name in COLUMNS if name not in ("image", "doubt")]

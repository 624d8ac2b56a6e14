"""The mask as Autoware's ``segmentation_pointcloud_fusion`` reads it: sixteen classes in its own order, run-length
encoded. That filter removes points of the lidar's cloud by their class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "UNKNOWN",
    "BUILDING",
    "WALL",
    "OBSTACLE",
    "TRAFFIC_LIGHT",
    "TRAFFIC_SIGN",
    "PERSON",
    "VEHICLE",
    "BIKE",
    "ROAD",
    "SIDEWALK",
    "ROAD_PAINT",
    "CURBSTONE",
    "CROSSWALK",
    "VEGETATION",
    "SKY",
)
"""Autoware's classes in its order: the parameters ``filter_semantic_label_target.NAME`` of its filter."""

OF_CITYSCAPES = {
    "road": "ROAD",
    "sidewalk": "SIDEWALK",
    "building": "BUILDING",
    "wall": "WALL",
    "fence": "OBSTACLE",
    "pole": "OBSTACLE",
    "traffic light": "TRAFFIC_LIGHT",
    "traffic sign": "TRAFFIC_SIGN",
    "vegetation": "VEGETATION",
    "terrain": "VEGETATION",
    "sky": "SKY",
    "person": "PERSON",
    "rider": "PERSON",
    "car": "VEHICLE",
    "truck": "VEHICLE",
    "bus": "VEHICLE",
    "train": "VEHICLE",
    "motorcycle": "BIKE",
    "bicycle": "BIKE",
}
"""A rider is a person here, so that a filter for bikes does not remove people. Any other class is UNKNOWN."""

RUN = np.dtype([("value", "u1"), ("length", "<i4")])
"""One run: a class and its number of pixels, row by row; five bytes without padding."""


def class_table(class_names: Sequence[str], class_ids: Sequence[int]) -> NDArray[np.uint8]:
    """uint8[256]: index with a mask to get Autoware's class ids; 0 (UNKNOWN) for values that have no class there."""
    table = np.zeros(256, np.uint8)
    for name, value in zip(class_names, class_ids, strict=True):
        table[value] = CLASSES.index(OF_CITYSCAPES.get(name, "UNKNOWN"))
    return table


def run_length_encoded(mask: NDArray[np.uint8]) -> bytes:
    """The pixels of an H×W uint8 mask, row by row, as runs of equal ones. Raises ValueError for an empty mask."""
    if not mask.size:
        raise ValueError(f"a mask of {mask.shape} has no pixels")
    flat = mask.ravel()
    starts = np.r_[0, np.flatnonzero(flat[1:] != flat[:-1]) + 1]
    runs = np.empty(len(starts), RUN)
    runs["value"] = flat[starts]
    runs["length"] = np.diff(starts, append=flat.size)
    return runs.tobytes()

"""Class tables as data: Cityscapes' label ids, train ids, names, categories and colours, and groupings of them.

The table is cityscapesScripts' ``helpers/labels.py`` (Cordts et al. 2016); a test compares the two.
Three encodings of one label image occur:

* *label ids* (0..33) are in ``*_gtFine_labelIds.png`` files;
* *train ids* (0..18, 255 = void) are the network's output and the values on the topic ``mask``;
* *colours* (RGB) are for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VOID = 255
"""Train id of a pixel without a class. Training and evaluation ignore such pixels."""


class Label(NamedTuple):
    """One row of Cityscapes' label table; ``color`` is RGB, ``train_id`` is 255 for void."""

    name: str
    id: int
    train_id: int
    category: str
    category_id: int
    color: tuple[int, int, int]


LABELS: tuple[Label, ...] = (
    Label("unlabeled", 0, VOID, "void", 0, (0, 0, 0)),
    Label("ego vehicle", 1, VOID, "void", 0, (0, 0, 0)),
    Label("rectification border", 2, VOID, "void", 0, (0, 0, 0)),
    Label("out of roi", 3, VOID, "void", 0, (0, 0, 0)),
    Label("static", 4, VOID, "void", 0, (0, 0, 0)),
    Label("dynamic", 5, VOID, "void", 0, (111, 74, 0)),
    Label("ground", 6, VOID, "void", 0, (81, 0, 81)),
    Label("road", 7, 0, "flat", 1, (128, 64, 128)),
    Label("sidewalk", 8, 1, "flat", 1, (244, 35, 232)),
    Label("parking", 9, VOID, "flat", 1, (250, 170, 160)),
    Label("rail track", 10, VOID, "flat", 1, (230, 150, 140)),
    Label("building", 11, 2, "construction", 2, (70, 70, 70)),
    Label("wall", 12, 3, "construction", 2, (102, 102, 156)),
    Label("fence", 13, 4, "construction", 2, (190, 153, 153)),
    Label("guard rail", 14, VOID, "construction", 2, (180, 165, 180)),
    Label("bridge", 15, VOID, "construction", 2, (150, 100, 100)),
    Label("tunnel", 16, VOID, "construction", 2, (150, 120, 90)),
    Label("pole", 17, 5, "object", 3, (153, 153, 153)),
    Label("polegroup", 18, VOID, "object", 3, (153, 153, 153)),
    Label("traffic light", 19, 6, "object", 3, (250, 170, 30)),
    Label("traffic sign", 20, 7, "object", 3, (220, 220, 0)),
    Label("vegetation", 21, 8, "nature", 4, (107, 142, 35)),
    Label("terrain", 22, 9, "nature", 4, (152, 251, 152)),
    Label("sky", 23, 10, "sky", 5, (70, 130, 180)),
    Label("person", 24, 11, "human", 6, (220, 20, 60)),
    Label("rider", 25, 12, "human", 6, (255, 0, 0)),
    Label("car", 26, 13, "vehicle", 7, (0, 0, 142)),
    Label("truck", 27, 14, "vehicle", 7, (0, 0, 70)),
    Label("bus", 28, 15, "vehicle", 7, (0, 60, 100)),
    Label("caravan", 29, VOID, "vehicle", 7, (0, 0, 90)),
    Label("trailer", 30, VOID, "vehicle", 7, (0, 0, 110)),
    Label("train", 31, 16, "vehicle", 7, (0, 80, 100)),
    Label("motorcycle", 32, 17, "vehicle", 7, (0, 0, 230)),
    Label("bicycle", 33, 18, "vehicle", 7, (119, 11, 32)),
)
"""Cityscapes' 34 label ids in order, so that ``LABELS[i].id == i``."""

TRAIN_LABELS: tuple[Label, ...] = tuple(
    sorted((label for label in LABELS if label.train_id != VOID), key=lambda label: label.train_id)
)
"""The 19 evaluated classes, so that ``TRAIN_LABELS[t].train_id == t``."""

CLASS_NAMES: tuple[str, ...] = tuple(label.name for label in TRAIN_LABELS)
CLASS_COLORS: tuple[tuple[int, int, int], ...] = tuple(label.color for label in TRAIN_LABELS)
NUM_CLASSES = len(TRAIN_LABELS)


def _lookup(pairs: list[tuple[int, int]]) -> NDArray[np.uint8]:
    table = np.full(256, VOID, np.uint8)
    for source, target in pairs:
        table[source] = target
    return table


ID_TO_TRAIN_ID = _lookup([(label.id, label.train_id) for label in LABELS])
"""uint8[256]: index with an image of label ids to get train ids; ids outside the table become void."""

TRAIN_ID_TO_ID = _lookup([(label.train_id, label.id) for label in TRAIN_LABELS] + [(VOID, 0)])
"""uint8[256]: index with an image of train ids to get label ids; void becomes 0 (unlabeled)."""


def palette(colors: tuple[tuple[int, int, int], ...] = CLASS_COLORS) -> NDArray[np.uint8]:
    """RGB colour per train id, uint8[256, 3]; ids without a class are black. ``palette()[mask]`` colours a mask."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    return table


@dataclass(frozen=True)
class Grouping:
    """A coarser set of classes, each the union of some of the 19.

    ``members[g]`` are the train ids of group ``g``. A train id belongs to at most one group.
    """

    name: str
    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def table(self) -> NDArray[np.uint8]:
        """uint8[256]: index with train ids to get group ids; 255 where a class has no group."""
        return _lookup([(t, group) for group, members in enumerate(self.members) for t in members])


_GROUPS: dict[str, dict[str, tuple[int, ...]]] = {
    "cityscapes19": {label.name: (label.train_id,) for label in TRAIN_LABELS},
    "categories": {
        name: tuple(label.train_id for label in TRAIN_LABELS if label.category == name)
        for name in dict.fromkeys(label.category for label in TRAIN_LABELS)
    },
    "camvid11": {
        "Sky": (10,),
        "Building": (2, 3),
        "Pole": (5,),
        "Road": (0,),
        "Pavement": (1,),
        "Tree": (8, 9),
        "SignSymbol": (6, 7),
        "Fence": (4,),
        "Car": (13, 14, 15, 16),
        "Pedestrian": (11,),
        "Bicyclist": (12, 17, 18),
    },
    "idd7": {
        "drivable": (0,),
        "non-drivable": (1, 9),
        "living things": (11, 12),
        "vehicles": (13, 14, 15, 16, 17, 18),
        "road-side objects": (3, 4, 5, 6, 7),
        "far objects": (2, 8),
        "sky": (10,),
    },
}
GROUPINGS = {name: Grouping(name, tuple(groups), tuple(groups.values())) for name, groups in _GROUPS.items()}
"""Groupings by name: ``cityscapes19`` (each class alone), ``categories`` (Cityscapes' 7), ``camvid11`` (the order
of the papers that use CamVid's 11 classes), ``idd7`` (the seven groups of IDD Lite, Varma et al. 2019)."""

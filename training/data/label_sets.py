"""Labels as sets of classes, so that a data set with coarse labels teaches nothing that is wrong.

CamVid labels buses as cars. If such a label meant the class *car*, a network would learn that buses are cars. As the
set {car, truck, bus, train} it says only that the pixel is one of these. Therefore a label image holds *set indices*,
and ``LabelSets`` says which classes each index stands for. A class map, a YAML file of ``label id: [class, …]``, says
what the label ids of a data set mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet_seg_ros.data.labels import CLASS_NAMES, NUM_CLASSES, VOID
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.text import listed, quoted

CLASS_MAPS = Path(__file__).parents[1] / "class_maps"


def class_map_path(name: str) -> Path:
    """The file of a class map: one of ``training/class_maps`` by its name, or another by its path.

    Raises FileNotFoundError, which lists the class maps that exist.
    """
    known = {path.stem: path for path in sorted(CLASS_MAPS.glob("*.yaml"))}
    path = known.get(name, Path(name))
    if not os.path.isfile(path):  # also where the name is too long
        raise FileNotFoundError(
            f"no class map is called {quoted(name)}; there are {', '.join(known)}, or give a file's path"
        )
    return path


def read_class_map(path: Path) -> dict[int, tuple[int, ...]]:
    """For each label id (0..254) of a data set the train ids that it may be, in the file's order. All other ids are
    void.

    Raises ValueError, which names the file and what is wrong in it.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path}: must be a mapping of label ids to lists of classes")
    class_map = {}
    for label_id, names in values.items():
        if type(label_id) is not int or not 0 <= label_id < VOID:
            raise ValueError(f"{path}: label ids must be 0 to 254, not {quoted(label_id)}")
        if not isinstance(names, list) or not names:
            raise ValueError(f"{path}: {label_id}: must be a list of classes, not {quoted(names)}")
        unknown = [name for name in names if name not in CLASS_NAMES]
        if unknown:
            known = ", ".join(CLASS_NAMES)
            raise ValueError(f"{path}: {label_id}: unknown class {quoted(unknown[0])}; there are {known}")
        class_map[label_id] = tuple(CLASS_NAMES.index(name) for name in dict.fromkeys(names))
    return class_map


def to_train_ids(class_map: str) -> NDArray[np.uint8]:
    """uint8[256]: label id → the train id that an evaluation uses, the first class of its set; 255 = void.

    Raises FileNotFoundError or ValueError for a class map that cannot be used.
    """
    table = np.full(256, VOID, np.uint8)
    for label_id, members in read_class_map(class_map_path(class_map)).items():
        table[label_id] = members[0]
    return table


def strange_ids(ids: Iterable[int], class_map: str) -> str:
    """A sentence if the class map has none of the label ids of a data set, or if they seem to be train ids; empty if
    the ids can be used.

    Raises FileNotFoundError or ValueError for a class map that cannot be used.
    """
    found, known = sorted(set(ids)), read_class_map(class_map_path(class_map)).keys()
    train_ids = VOID in found and set(found) <= {*range(NUM_CLASSES), VOID} and bool(set(found) - known - {VOID})
    if known & set(found) and not train_ids:
        return ""
    hint = ", which look like train ids: use files with label ids, or a class map of train ids" if train_ids else ""
    what = "some are not in" if known & set(found) else "none is in"
    return f"the labels hold the ids {listed(found, 20)}{hint}; {what} the class map {class_map}"


@dataclass(frozen=True)
class LabelSets:
    """The sets that the labels of one or several data sets stand for.

    ``sets[k]`` are the train ids of set ``k``; ``tables[class_map]`` is uint8[256], label id → set index (255 = void).
    """

    sets: tuple[tuple[int, ...], ...]
    tables: dict[str, NDArray[np.uint8]]

    @classmethod
    def of(cls, class_maps: Sequence[str]) -> LabelSets:
        """The union of the class maps' sets. Raises FileNotFoundError or ValueError for one that cannot be used."""
        maps = {name: read_class_map(class_map_path(name)) for name in class_maps}
        maps = {name: {i: tuple(sorted(m)) for i, m in class_map.items()} for name, class_map in maps.items()}
        sets = tuple(dict.fromkeys(members for class_map in maps.values() for members in class_map.values()))
        if len(sets) >= VOID:
            raise ValueError(f"{', '.join(class_maps)}: {len(sets)} different sets of classes, at most {VOID - 1} fit")
        tables = {}
        for name, class_map in maps.items():
            tables[name] = np.full(256, VOID, np.uint8)
            for label_id, members in class_map.items():
                tables[name][label_id] = sets.index(members)
        return cls(sets, tables)

    def membership(self) -> Tensor:
        """bool[K, 19]: whether a class belongs to a set."""
        member = torch.zeros(len(self.sets), NUM_CLASSES, dtype=torch.bool)
        for k, classes in enumerate(self.sets):
            member[k, list(classes)] = True
        return member

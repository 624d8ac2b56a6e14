"""Labels as sets of classes, so that data sets with coarser labels teach no more than they know.

CamVid labels buses as cars. Trained on as class *car* this would teach a network that a bus is a car; trained on as
the set {car, truck, bus, train} it teaches only that the pixel is one of them. A label image is therefore stored as
*set indices*; ``LabelSets`` says which classes each index stands for. What a data set's label ids mean is data: a class
map, a YAML file of ``label id: [class, …]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet_seg_ros.data.labels import CLASS_NAMES, NUM_CLASSES, VOID
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.text import quoted

CLASS_MAPS = Path(__file__).parents[1] / "class_maps"


def class_map_path(name: str) -> Path:
    """The file of a class map: one of ``training/class_maps`` by its name, or another by its path.

    Raises FileNotFoundError that lists those that there are.
    """
    known = {path.stem: path for path in sorted(CLASS_MAPS.glob("*.yaml"))}
    path = known.get(name, Path(name))
    if not path.is_file():
        raise FileNotFoundError(f"no class map is called {name!r}; there are {', '.join(known)}, or give a file's path")
    return path


def read_class_map(path: Path) -> dict[int, tuple[int, ...]]:
    """What each label id (0..254) of a data set may be: train ids, as named. Ids that are not in it are void.

    Raises ValueError naming the file and what is wrong in it.
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
    """uint8[256]: label id → train id to measure with, the first class that the class map names for it; 255 = void.

    Raises FileNotFoundError or ValueError for a class map that cannot be used.
    """
    table = np.full(256, VOID, np.uint8)
    for label_id, members in read_class_map(class_map_path(class_map)).items():
        table[label_id] = members[0]
    return table


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

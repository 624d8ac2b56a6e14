"""Labels as sets of classes, so that data sets with coarser labels teach no more than they know.

CamVid labels buses as cars. Trained on as class *car* this would teach a network that a bus is a car; trained on as
the set {car, truck, bus, train} it teaches only that the pixel is one of them. A label image is therefore stored as
*set indices*; ``LabelSets`` says which classes each index stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet_seg_ros.labels import GROUPINGS, ID_TO_TRAIN_ID, NUM_CLASSES, VOID


@dataclass(frozen=True)
class LabelSets:
    """The sets that the labels of one or several data sets stand for.

    ``sets[k]`` are the train ids of set ``k``; ``tables[grouping]`` is uint8[256], label id → set index (255 = void).
    """

    sets: tuple[tuple[int, ...], ...]
    tables: dict[str, NDArray[np.uint8]]

    @classmethod
    def of(cls, groupings: Sequence[str]) -> LabelSets:
        """The union of the groupings' sets. Raises ValueError for a grouping that ``labels.GROUPINGS`` lacks."""
        for name in groupings:
            if name not in GROUPINGS:
                raise ValueError(f"no grouping is called {name!r}; there are {', '.join(GROUPINGS)}")
        sets = tuple(dict.fromkeys(members for name in groupings for members in GROUPINGS[name].members))
        tables = {}
        for name in groupings:
            index_of_group = np.full(256, VOID, np.uint8)
            index_of_group[: len(GROUPINGS[name].members)] = [sets.index(m) for m in GROUPINGS[name].members]
            tables[name] = index_of_group[GROUPINGS[name].table[ID_TO_TRAIN_ID]]
        return cls(sets, tables)

    def membership(self) -> Tensor:
        """bool[K, 19]: whether a class belongs to a set."""
        member = torch.zeros(len(self.sets), NUM_CLASSES, dtype=torch.bool)
        for k, classes in enumerate(self.sets):
            member[k, list(classes)] = True
        return member

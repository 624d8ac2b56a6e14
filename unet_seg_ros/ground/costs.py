"""The cost of each class in the grid, and whether the class is part of the ground or stands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.ground.grid import LETHAL, UNKNOWN
from unet_seg_ros.share_folder import share_folder
from unet_seg_ros.text import quoted

NOTHING, GROUND, STANDING = 0, 1, 2
DEFAULT = "default"
"""Stands in ``standing`` for all classes that the file does not name."""
SIMILAR = 0.75
"""A name that the model does not have is refused if it is at least this similar (0..1) to one that it has."""


@dataclass(frozen=True, eq=False)
class Costs:
    """Tables that are indexed with a mask: ``cost``, uint8[256], is 0 (free) to 100 (lethal) or 255 (unknown);
    ``kind``, uint8[256], is NOTHING, GROUND or STANDING. Values without a class have NOTHING and 255."""

    cost: NDArray[np.uint8]
    kind: NDArray[np.uint8]


def load_costs(path: Path | None, class_names: Sequence[str], class_ids: Sequence[int]) -> Costs:
    """Read the costs from a YAML file like ``config/costs.yaml`` (None: this file), for a model's classes and their
    values in the mask. Raises ValueError, which names the file and what is wrong in it."""
    path = path or share_folder() / "config" / "costs.yaml"
    content = read_yaml(path)
    if not isinstance(content, dict) or set(content) != {"ground", "standing"}:
        raise ValueError(f"{path}: must have exactly the keys `ground` and `standing`")
    ground, standing = (_section(path, name, content[name]) for name in ("ground", "standing"))
    if not set(ground) & set(class_names):
        raise ValueError(f"{path}: `ground` names no class of the model, which has {', '.join(class_names)}")
    for name in sorted({*ground, *standing} - {*class_names, *CLASS_NAMES, DEFAULT}):  # of another model, or a slip
        if near := get_close_matches(name, [*class_names, DEFAULT], n=1, cutoff=SIMILAR):
            raise ValueError(f"{path}: no class is called {quoted(name)}; did you mean {near[0]}?")
    both = set(ground) & set(standing)
    if both:
        raise ValueError(f"{path}: {', '.join(sorted(both))} cannot be in `ground` and in `standing`")
    cost, kind = np.full(256, UNKNOWN, np.uint8), np.zeros(256, np.uint8)
    for name, value in zip(class_names, class_ids, strict=True):
        known = ground.get(name, standing.get(name, standing.get(DEFAULT, LETHAL)))
        if known >= 0:
            cost[value], kind[value] = known, GROUND if name in ground else STANDING
    return Costs(cost, kind)


def _section(path: Path, name: str, section: Any) -> Mapping[str, int]:
    if not isinstance(section, dict):
        raise ValueError(f"{path}: `{name}` must be a mapping of class names to costs")
    for key, cost in section.items():
        if isinstance(cost, bool) or not isinstance(cost, int) or not -1 <= cost <= LETHAL:
            raise ValueError(
                f"{path}: `{name}`: {quoted(str(key))}: the cost must be a whole number from -1 to {LETHAL}, not "
                f"{quoted(cost)}"
            )
    return {str(key): cost for key, cost in section.items()}

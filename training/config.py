"""What a training run is made of: dataclasses read from a YAML file, validated where the values enter."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from unet_seg_ros.labels import GROUPINGS
from unet_seg_ros.model.unet import CONFIGS


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class DataConfig:
    """One folder in Cityscapes layout to train on.

    ``grouping`` names what its labels can tell apart, ``weight`` its share of the samples relative to the others,
    ``scale`` the range of random magnification, ``color`` the strength of colour jitter (0..1); ``name`` and ``terms``
    (of use) go into the bundle's manifest.
    """

    name: str
    root: str
    split: str
    grouping: str
    terms: str
    weight: float = 1.0
    scale: tuple[float, float] = (0.75, 2.0)
    color: float = 0.4

    def __post_init__(self) -> None:
        where = f"data {self.name!r}"
        known = ", ".join(GROUPINGS)
        _check(self.grouping in GROUPINGS, f"{where}: grouping must be one of {known}, not {self.grouping!r}")
        _check(self.weight > 0, f"{where}: weight must be above 0, not {self.weight}")
        low, high = self.scale
        _check(0 < low <= high, f"{where}: scale must be [low, high] above 0, not {list(self.scale)}")
        _check(0 <= self.color <= 1, f"{where}: color must be in 0..1, not {self.color}")


@dataclass(frozen=True)
class TrainConfig:
    """A run: what to train, on what, for how many steps. ``crop`` is (height, width) in pixels."""

    model: str
    data: tuple[DataConfig, ...]
    steps: int
    max_pixels: int
    crop: tuple[int, int]
    batch: int = 8
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup: int = 200
    ema_decay: float = 0.998
    init: str = ""
    seed: int = 0
    save_every: int = 100

    def __post_init__(self) -> None:
        _check(self.model in CONFIGS, f"model must be one of {', '.join(CONFIGS)}, not {self.model!r}")
        _check(len(self.data) > 0, "data must name at least one folder to train on")
        stride = CONFIGS[self.model].stride
        _check(
            min(self.crop) > 0 and all(side % stride == 0 for side in self.crop),
            f"crop must be [height, width], multiples of {stride} for {self.model}, not {list(self.crop)}",
        )
        for field in ("steps", "max_pixels", "batch", "learning_rate", "save_every"):
            _check(getattr(self, field) > 0, f"{field} must be above 0, not {getattr(self, field)}")
        _check(0 <= self.ema_decay < 1, f"ema_decay must be in 0..1, not {self.ema_decay}")
        _check(self.weight_decay >= 0, f"weight_decay must not be negative, not {self.weight_decay}")
        _check(self.seed >= 0, f"seed must not be negative, not {self.seed}")
        _check(0 <= self.warmup < self.steps, f"warmup must be in 0..{self.steps - 1} steps, not {self.warmup}")


_KINDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a finite number (1.0e-3, not 1e-3)",
    tuple[float, float]: "a list of 2 numbers",
    tuple[int, int]: "a list of 2 whole numbers",
    tuple[DataConfig, ...]: "a list",
}
"""What the fields' types are called in messages."""


def _is(value: Any, kind: Any) -> bool:
    """Whether a value from YAML is what a field of this type takes; a whole number is also a number."""
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if kinds[-1] is ...:
            return isinstance(value, tuple) and all(_is(item, kinds[0]) for item in value)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_is, value, kinds))
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _build(cls: type[Any], values: Any, where: str) -> Any:
    fields = {field.name for field in dataclasses.fields(cls)}
    _check(isinstance(values, dict), f"{where}: must be a mapping")
    unknown = set(values) - fields
    _check(not unknown, f"{where}: unknown {', '.join(map(str, unknown))}; there are {', '.join(sorted(fields))}")
    required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
    missing = required - set(values)
    _check(not missing, f"{where}: {', '.join(sorted(missing))} missing")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for key, kind in get_type_hints(cls).items():
        if key in values:
            _check(_is(values[key], kind), f"{where}: {key} must be {_KINDS[kind]}, not {values[key]!r}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def from_dict(values: Any, where: str) -> TrainConfig:
    """A run's configuration from plain values. Raises ValueError that starts with ``where`` and names the field."""
    _check(isinstance(values, dict) and isinstance(values.get("data"), (list, tuple)), f"{where}: data must be a list")
    data = tuple(_build(DataConfig, item, f"{where}: data[{i}]") for i, item in enumerate(values["data"]))
    config: TrainConfig = _build(TrainConfig, {**values, "data": data}, where)
    return config


def load(path: Path) -> TrainConfig:
    """Read a configuration file. Raises ValueError naming the file and the field that is wrong."""
    try:
        values = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return from_dict(values, str(path))

"""The configuration of a training run: dataclasses that are read from a YAML file and checked."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from unet_seg_ros.data.cityscapes import LABEL_FOLDERS
from unet_seg_ros.data.image_files import MAX_PIXELS as MAX_CROP
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.data.yaml_file import parse_yaml, read_yaml
from unet_seg_ros.model.manifest_schema import MAX_NAME, MAX_PIXELS, MAX_TERMS
from unet_seg_ros.model.unet import CONFIGS
from unet_seg_ros.text import listed, one_line, quoted


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(one_line(message))


MAX_BATCH = 4096
MAX_SAMPLES = 10**8
"""Largest number of samples of a run. A larger number is a typing error, and the list of sample numbers would fill the
memory."""
MAX_SEED = 2**32 - 1
"""Of NumPy's old generator."""
MAX_RATE = 10.0
"""Of the learning rate and the weight decay; with more the weights overflow."""
MAX_WEIGHT = 1e9
SCALES = 0.1, 10.0
"""Bounds of the magnification. A crop shows a window of its size divided by it."""
SCHEDULES = ("poly", "cosine", "trapezoid")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a sample after which its label is still right. 0 switches one off (``scale``, ``stretch``: 1).

    ``scale`` is the range of magnification, ``stretch`` the largest ratio of horizontal to vertical magnification (and
    its inverse). ``color`` is the strength (0..1) of changes in brightness, contrast, saturation and white balance,
    ``gamma`` that of the exponent, ``hue`` that of the hue's angle (1 = half a circle). ``gray``, ``blur`` (or
    sharpening), ``soft`` (fewer columns than the image has), ``jpeg`` and ``noise`` are the shares (0..1) of the
    samples that are changed so.
    """

    scale: tuple[float, float] = (0.75, 1.6)
    stretch: float = 1.0
    color: float = 0.3
    gamma: float = 0.0
    hue: float = 0.0
    gray: float = 0.0
    blur: float = 0.0
    soft: float = 0.0
    jpeg: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.scale
        _check(0 < low <= high, f"scale must be [low, high] above 0, not {list(self.scale)}")
        least, most = SCALES
        _check(least <= low and high <= most, f"scale must be in {least:g}..{most:g}, not {list(self.scale)}")
        _check(1 <= self.stretch <= 4, f"stretch must be in 1..4, not {self.stretch}")
        for field in dataclasses.fields(self)[2:]:  # all but scale and stretch
            value = getattr(self, field.name)
            _check(0 <= value <= 1, f"{field.name} must be in 0..1, not {value}")


@dataclass(frozen=True)
class DataConfig:
    """One folder in Cityscapes layout to train on.

    ``labels`` is ``gtFine`` or ``gtCoarse``; ``class_map`` says what its label ids mean: the name of a file in
    ``training/class_maps`` or the path of another. ``cache`` is the folder of the cache that ``training.prepare``
    wrote (empty: ``ROOT/cache``); without a cache the files are read. ``leave_out`` names cities that are not trained
    on. ``weight`` is the number of its samples relative to the other folders. ``uniform`` is the share (0..1) of its
    samples that are drawn so that every class is shown equally often. ``augment`` replaces the run's augmentation for
    this folder. ``name`` and ``terms`` (of use) go into the bundle's manifest.
    """

    name: str
    root: str
    split: str
    class_map: str
    terms: str
    labels: str = "gtFine"
    cache: str = ""
    leave_out: tuple[str, ...] = ()
    weight: float = 1.0
    uniform: float = 0.5
    augment: AugmentConfig | None = None

    def __post_init__(self) -> None:
        _check(
            0 < len(self.name) <= MAX_NAME and self.name.isprintable(),
            f"name must be printable text of 1 to {MAX_NAME} characters, not {quoted(self.name)}",
        )
        where = f"data {self.name!r}"
        _check(
            len(self.terms) <= MAX_TERMS and self.terms.replace("\n", " ").isprintable(),
            f"{where}: terms must be printable text of at most {MAX_TERMS} characters, not {quoted(self.terms)}",
        )
        _check(
            self.labels in LABEL_FOLDERS, f"{where}: labels must be one of {LABEL_FOLDERS}, not {quoted(self.labels)}"
        )
        _check(self.weight > 0, f"{where}: weight must be above 0, not {self.weight}")
        _check(self.weight <= MAX_WEIGHT, f"{where}: weight must be at most {MAX_WEIGHT:g}, not {self.weight}")
        _check(0 <= self.uniform <= 1, f"{where}: uniform must be in 0..1, not {self.uniform}")


@dataclass(frozen=True)
class ValidationConfig:
    """The data on which a run is measured every ``every`` steps. The weights with the highest mIoU are kept as the
    best.

    ``class_map`` says what its label ids mean, ``grouping`` (one of ``labels.GROUPINGS``) which classes are told apart.
    Only the ``cities`` of the split are used (empty: all).
    """

    root: str
    split: str = "val"
    grouping: str = "cityscapes19"
    class_map: str = "cityscapes"
    cities: tuple[str, ...] = ()
    every: int = 1000

    def __post_init__(self) -> None:
        known = ", ".join(GROUPINGS)
        _check(self.grouping in GROUPINGS, f"validation: grouping must be one of {known}, not {quoted(self.grouping)}")
        _check(self.every > 0, f"validation: every must be above 0, not {self.every}")


@dataclass(frozen=True)
class TrainConfig:
    """A run: what to train, on what, for how many steps of the optimiser.

    ``crop`` is (height, width) in pixels. A step uses ``batch`` samples, whatever the number of processes; each process
    takes its samples in ``accumulate`` parts. The first ``half_steps`` steps use half the crop and half the
    magnification, at a quarter of the cost. The ``schedule`` trapezoid keeps the learning rate until the last
    ``cooldown`` steps, so that a run that has begun can still be made longer or shorter. At each of the steps
    ``restarts`` a cooldown has ended and the learning rate is back at its full value, so that a run that has ended can
    be made longer too. ``init`` is a bundle to start from.
    """

    model: str
    data: tuple[DataConfig, ...]
    steps: int
    max_pixels: int
    crop: tuple[int, int]
    validation: ValidationConfig | None = None
    augment: AugmentConfig = AugmentConfig()
    half_steps: int = 0
    batch: int = 8
    accumulate: int = 1
    learning_rate: float = 1.5e-3
    schedule: str = "poly"
    warmup: int = 200
    cooldown: int = 0
    restarts: tuple[int, ...] = ()
    weight_decay: float = 0.02
    clip: float = 5.0
    ema_decay: float = 0.998
    compile: bool = False
    init: str = ""
    seed: int = 0
    save_every: int = 100
    keep: int = 2

    def __post_init__(self) -> None:
        _check(self.model in CONFIGS, f"model must be one of {', '.join(CONFIGS)}, not {quoted(self.model)}")
        _check(len(self.data) > 0, "data must name at least one folder to train on")
        self._check_names()
        stride = CONFIGS[self.model].stride
        _check(
            min(self.crop) > 0 and all(side % stride == 0 for side in self.crop),
            f"crop must be [height, width], multiples of {stride} for {self.model}, not {list(self.crop)}",
        )
        _check(
            self.half_steps <= 0 or all(side % (2 * stride) == 0 for side in self.crop),
            f"with half_steps, crop must be multiples of {2 * stride} for {self.model}, not {list(self.crop)}",
        )
        cells = (
            self.batch
            // max(self.accumulate, 1)
            * math.prod(side // (stride * (2 if self.half_steps > 0 else 1)) for side in self.crop)
        )
        _check(
            cells > 1 or min(self.batch, self.accumulate) < 1,
            f"batch {self.batch} in {self.accumulate} parts with crop {list(self.crop)} leaves one value to normalise: "
            "make the batch or the crop larger",
        )
        for field in ("steps", "max_pixels", "batch", "accumulate", "learning_rate", "clip", "save_every", "keep"):
            _check(getattr(self, field) > 0, f"{field} must be above 0, not {getattr(self, field)}")
        _check(self.batch <= MAX_BATCH, f"batch must be at most {MAX_BATCH}, not {self.batch}")
        _check(self.steps * self.batch <= MAX_SAMPLES, f"steps × batch must be at most {MAX_SAMPLES:,}")
        _check(self.max_pixels >= stride**2, f"max_pixels must be at least {stride**2}, not {self.max_pixels}")
        _check(self.batch % self.accumulate == 0, f"batch ({self.batch}) must be a multiple of accumulate")
        _check(0 <= self.ema_decay < 1, f"ema_decay must be in 0..1, not {self.ema_decay}")
        for field in ("weight_decay", "seed", "half_steps"):
            _check(getattr(self, field) >= 0, f"{field} must not be negative, not {getattr(self, field)}")
        self._check_bounds()
        self._check_schedule()

    def _check_names(self) -> None:
        names = [source.name for source in self.data]
        twice = next((name for name in names if names.count(name) > 1), None)
        _check(twice is None, f"data: two folders have the name {quoted(twice)}; give each its own")
        _check(
            len("; ".join(source.terms for source in self.data)) <= MAX_TERMS,
            f"data: the terms of all folders together must have at most {MAX_TERMS} characters",
        )

    def _check_bounds(self) -> None:
        _check(math.prod(self.crop) <= MAX_CROP, f"crop must have at most {MAX_CROP} pixels, not {list(self.crop)}")
        most = {"max_pixels": MAX_PIXELS, "learning_rate": MAX_RATE, "weight_decay": MAX_RATE, "seed": MAX_SEED}
        for field, bound in most.items():
            _check(getattr(self, field) <= bound, f"{field} must be at most {bound:.10g}, not {getattr(self, field)}")
        _check(self.half_steps <= self.steps, f"half_steps must be at most {self.steps} (steps), not {self.half_steps}")

    def _check_schedule(self) -> None:
        _check(self.schedule in SCHEDULES, f"schedule must be one of {SCHEDULES}, not {quoted(self.schedule)}")
        _check(0 <= self.warmup < self.steps, f"warmup must be in 0..{self.steps - 1} steps, not {self.warmup}")
        rest, trapezoid = self.steps - self.warmup, self.schedule == "trapezoid"
        _check(trapezoid or self.cooldown == 0, "cooldown is only for the schedule trapezoid")
        _check(not trapezoid or 0 < self.cooldown <= rest, f"cooldown must be in 1..{rest} steps, not {self.cooldown}")
        _check(trapezoid or not self.restarts, "restarts are only for the schedule trapezoid")
        ends = (self.warmup, *self.restarts, self.steps)
        _check(
            not trapezoid or all(end - start >= self.cooldown for start, end in pairwise(ends)),
            f"restarts must be steps that rise by at least the cooldown ({self.cooldown}), the last of them as long "
            f"before the end ({self.steps}), not {list(self.restarts)}",
        )


_KINDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    float: "a finite number (1.0e-3, not 1e-3)",
    tuple[float, float]: "a list of 2 numbers",
    tuple[int, int]: "a list of 2 whole numbers",
    tuple[int, ...]: "a list of whole numbers",
    tuple[str, ...]: "a list of texts",
    tuple[DataConfig, ...]: "a list",
    ValidationConfig | None: "a mapping",
    AugmentConfig | None: "a mapping",
    AugmentConfig: "a mapping",
}
"""The names of the fields' types in messages."""


def _is(value: Any, kind: Any) -> bool:
    """Whether a value from YAML has the type of a field; a whole number is also a number."""
    if get_origin(kind) is UnionType:
        return any(_is(value, member) for member in get_args(kind))
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
    if unknown := sorted(set(values) - fields, key=str):
        near = difflib.get_close_matches(str(unknown[0]), fields, n=1)
        hint = f"did you mean {near[0]}? There are" if near else "there are"
        raise ValueError(one_line(f"{where}: unknown {listed(unknown)}; {hint} {', '.join(sorted(fields))}"))
    required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
    missing = required - set(values)
    _check(not missing, f"{where}: {', '.join(sorted(missing))} missing")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for key, kind in get_type_hints(cls).items():
        if key in values:
            _check(_is(values[key], kind), f"{where}: {key} must be {_KINDS[kind]}, not {quoted(values[key])}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _source(values: Any, where: str) -> DataConfig:
    if isinstance(values, dict) and values.get("augment") is not None:
        values = {**values, "augment": _build(AugmentConfig, values["augment"], f"{where}: augment")}
    source: DataConfig = _build(DataConfig, values, where)
    return source


def from_dict(values: Any, where: str) -> TrainConfig:
    """A run's configuration from plain values. Raises ValueError that starts with ``where`` and names the field."""
    _check(isinstance(values, dict) and isinstance(values.get("data"), (list, tuple)), f"{where}: data must be a list")
    values = dict(values)
    values["data"] = tuple(_source(item, f"{where}: data[{i}]") for i, item in enumerate(values["data"]))
    for name, cls in (("validation", ValidationConfig), ("augment", AugmentConfig)):
        if values.get(name) is not None:
            values[name] = _build(cls, values[name], f"{where}: {name}")
    config: TrainConfig = _build(TrainConfig, values, where)
    return config


def _inside(values: Any, key: str) -> Any:
    """The list or mapping that is at ``key`` of another; an empty mapping is put where there is none."""
    if isinstance(values, list):
        return values[int(key)]
    if values.get(key) is None:
        values[key] = {}
    return values[key]


def _override(values: Any, override: str) -> None:
    """Set one field of plain values: ``steps=100``, ``data.0.root=/cityscapes``; the value is YAML. What the file
    leaves out may be set too: ``augment.color=0.2``.

    Raises ValueError, which names the override, if there can be no such field.
    """
    path, separator, text = override.partition("=")
    form = "FIELD=VALUE, such as steps=100 or data.0.root=/cityscapes"
    _check(bool(separator), f"{override}: must be {form}")
    value = parse_yaml(text, override)
    *parents, last = path.split(".")
    try:
        for key in parents:
            values = _inside(values, key)
        values[int(last) if isinstance(values, list) else last] = value
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{override}: there is no {path}; must be {form}") from error


def load(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration file; ``overrides`` replace fields. Raises ValueError naming the file and the field."""
    values = read_yaml(path)
    for override in overrides:
        _override(values, override)
    return from_dict(values, " ".join([str(path), *overrides]))

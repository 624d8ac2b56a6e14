"""The rules of the health: what is wrong when a signal is out of bounds. The bounds are in ``config/health.yaml``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.files import of_user
from unet_seg_ros.share_folder import share_folder
from unet_seg_ros.text import listed, quoted

LEAD = 0.8
"""Trust begins to fall at this distance before a bound, in units of the bound's scale."""
FARTHEST = 6.0
"""The largest penalty of a signal. Values that are even further beyond the bound do not lower the trust more."""


@dataclass(frozen=True)
class Rule:
    """The rule of one ``signal``: the fixed name ``flag`` of the fault, whether a too ``high`` or a too low value is a
    fault, and the sentence ``text`` for people. If ``log`` is not 0, the distance from the bound is log2 of the ratio
    of value and bound; ``log`` is added to both before, so that a value of 0 gives a finite ratio."""

    signal: str
    flag: str
    high: bool
    text: str
    log: float = 0.0


# Flags and reasons are given in this order: faults of the camera before faults of the mask, which often follow from
# them.
RULES = (
    Rule("broken", "broken_model", True, "the network's output is not usable"),
    Rule("frozen", "frozen", True, "the picture stands still while its stamps move"),
    Rule("brightness", "dark", False, "the picture is dark", 2),
    Rule("contrast", "low_contrast", False, "the picture has little contrast", 2),
    Rule("haze", "washed_out", True, "nothing in the picture is dark: haze, glare or too long an exposure"),
    Rule("white", "washed_out", True, "too much of the picture is white"),
    Rule("detail", "blurred", False, "the picture lacks fine detail: blurred, out of focus, fog or water", 1),
    Rule("coarse_detail", "blurred", False, "the picture lacks detail: blurred, out of focus, fog or water", 1),
    Rule("noise", "noisy", True, "the picture is noisy", 0.3),
    Rule("noise_floor", "noisy", True, "even the smooth parts of the picture are noisy", 0.3),
    Rule("cast", "color_cast", True, "one colour is too strong or too weak"),
    Rule("saturation", "color_cast", True, "the colours are too strong"),
    Rule("greyness", "washed_out", True, "the picture has almost no colour"),
    Rule("zipper", "color_cast", True, "the colours alternate from pixel to pixel, as with a wrong Bayer order"),
    Rule("steps", "blocky", True, "the picture consists of blocks: enlarged, or compressed too far"),
    Rule("torn", "torn", True, "the picture is torn along a row"),
    Rule("missing_rows", "incomplete", True, "rows repeat or are missing"),
    Rule("blocked", "obstructed", True, "a part of the picture is black"),
    Rule("smooth", "obstructed", True, "a part of the picture is without any detail"),
    Rule("veiled", "dirty", True, "a part of the picture has no detail for seconds: dirt, ice or water on the lens"),
    Rule("pattern", "dirty", True, "one fine pattern lies over the moving scene: ice, drops or scratches on the lens"),
    Rule("confidence", "unsure", False, "the network is far less sure than on its own validation data"),
    Rule("variety", "unsure", False, "the mask has far fewer classes than a street has"),
    Rule("void", "void", True, "too much of the mask is without a class"),
    Rule("flicker", "flickering", True, "classes change where the picture does not"),
    Rule("gap", "late", True, "the time since the last frame is longer than usual"),
    Rule("backwards", "late", True, "the stamp lies before the last one"),
    Rule("age", "late", True, "the frame is old"),
)


@dataclass(frozen=True)
class Bound:
    """A signal's ``bound``. ``scale`` is the distance from the bound that counts as 1. For each such distance the trust
    is multiplied by exp(−``weight``). A signal with an infinite bound is not judged."""

    bound: float
    scale: float
    weight: float

    def excess(self, rule: Rule, value: float) -> float:
        """How far the value is beyond the bound, in units of the scale. Above 0 the value is out of bounds; −inf if the
        value or the bound is not known."""
        if math.isnan(value) or math.isinf(self.bound):
            return -math.inf
        ratio = (max(value, 0.0) + rule.log) / (self.bound + rule.log) if rule.log else 1.0
        distance = math.log2(ratio) if rule.log else value - self.bound
        return (distance if rule.high else -distance) / self.scale


@dataclass(frozen=True)
class Thresholds:
    """The bounds by signal. A trust below ``degraded`` or below ``blind`` gives that level."""

    bounds: Mapping[str, Bound]
    degraded: float
    blind: float

    @cached_property
    def ruled(self) -> tuple[tuple[Rule, Bound], ...]:
        """Each rule, in their order, and its bound."""
        return tuple((rule, self.bounds[rule.signal]) for rule in RULES)

    @cached_property
    def limits(self) -> dict[str, float]:
        """The bounds as plain numbers by signal; NaN where there is none."""
        return {rule.signal: row.bound if math.isfinite(row.bound) else math.nan for rule, row in self.ruled}


def load_thresholds(file: Path | str = "") -> Thresholds:
    """Read the thresholds from a YAML file; empty: ``config/health.yaml`` of this package. Raises ValueError, which
    names the file and what is wrong in it."""
    path = of_user(file) if file else share_folder() / "config" / "health.yaml"
    values = read_yaml(path)
    try:
        return _thresholds(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _thresholds(values: Any) -> Thresholds:
    if not isinstance(values, dict) or set(values) != {"degraded", "blind", "signals"}:
        raise ValueError("must have the keys degraded, blind and signals")
    degraded, blind = (_number(name, values[name]) for name in ("degraded", "blind"))
    if not 0 <= blind <= degraded <= 1:
        raise ValueError("blind and degraded must be 0 to 1, blind the smaller")
    signals = values["signals"]
    names = {rule.signal for rule in RULES}
    if not isinstance(signals, dict) or set(signals) != names:
        wrong = sorted(map(str, names ^ set(signals))) if isinstance(signals, dict) else sorted(names)
        raise ValueError(f"signals: must name each signal once; missing or unknown: {listed(wrong, 5)}")
    return Thresholds({name: _bound(name, row) for name, row in signals.items()}, degraded, blind)


def _bound(name: str, row: Any) -> Bound:
    if not isinstance(row, dict) or set(row) != {"bound", "scale", "weight"}:
        raise ValueError(f"signals: {name}: must have bound, scale and weight")
    bound = Bound(*(_number(f"signals: {name}: {key}", row[key]) for key in ("bound", "scale", "weight")))
    if not (0 < bound.scale < math.inf and 0 <= bound.weight < math.inf):
        raise ValueError(f"signals: {name}: scale must be above 0, weight 0 or more")
    return bound


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ValueError(f"{name}: must be a number, not {quoted(value)}")
    return float(value)


def penalty(excess: float) -> float:
    """The penalty of a distance from a bound: 0 up to ``LEAD`` before the bound, then growing to at most
    ``FARTHEST``."""
    return min(max(excess + LEAD, 0.0), FARTHEST)

"""From a camera's frames and their masks to trust, level, flags and a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from unet_seg_ros.health.history import Course
from unet_seg_ros.health.picture import Signals, cells, picture_signals, shrunk
from unet_seg_ros.health.prediction import mask_cells, prediction_signals
from unet_seg_ros.health.rules import RULES, Thresholds, load_thresholds, penalty
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.segmenter import Segmentation
from unet_seg_ros.vocabulary import Drop

UNCHANGING = ("road", "sky")
"""Classes that may look the same for minutes without anything being wrong."""
SMALLEST = 16
"""Pixels that a frame must have each way for its picture to be judged."""
WORST = 3
"""Reasons that are given at most."""


class Level(IntEnum):
    """As in CameraHealth."""

    OK = 0
    DEGRADED = 1
    BLIND = 2


@dataclass(frozen=True)
class Health:
    """Whether to believe one frame's mask. ``trust`` is 0..1; ``flags`` are fixed names, causes before effects;
    ``reason`` is a sentence, empty where nothing is wrong; ``signals`` are the measured values, NaN where there was
    nothing to measure, and ``bounds`` those that they were compared with, NaN where there is none."""

    level: Level
    trust: float
    flags: tuple[str, ...]
    reason: str
    signals: Signals
    bounds: Signals


MALFORMED = Health(Level.BLIND, 0.0, ("malformed",), "the message holds no usable image", {}, {})
"""Of a frame that could not be read."""
FAILED = Health(Level.BLIND, 0.0, ("failed",), "the network could not be run on this frame", {}, {})
"""Of a frame that could be read, but of which no mask could be made: out of memory, a lost device."""


def unsegmented(reason: str) -> Health:
    """The health of a frame that the network gave no output for, by the reason why it was dropped (``Drop``)."""
    return MALFORMED if reason == Drop.MALFORMED else FAILED


class Measurement:
    """The signals of one camera's frames, which must come in their order."""

    def __init__(self, manifest: Manifest) -> None:
        names = manifest.class_names
        self._course = Course([names.index(name) for name in UNCHANGING if name in names])
        self._reference = manifest.reference_confidence or math.nan

    def signals(self, seen: Segmentation, stamp_ns: int, age: float = math.nan) -> Signals:
        """All signals by name; ``age`` in seconds (NaN: not to be judged). Raises ValueError if the segmentation does
        not hold the frame as the network saw it."""
        if seen.working is None:
            raise ValueError("the segmentation does not hold the frame that the network saw")
        signals = dict.fromkeys((rule.signal for rule in RULES), math.nan)
        signals |= {"broken": float(bool(seen.fault)), "age": age}
        if not seen.fault:
            signals |= prediction_signals(seen.mask, seen.confidence, self._reference)
        frame = shrunk(seen.working)
        if min(frame.shape[:2]) >= SMALLEST:
            small = cells(frame)
            signals |= picture_signals(frame, small)
            signals |= self._course.signals(frame, small, mask_cells(seen.mask), stamp_ns)
        return signals


class Monitor:
    """Judges one camera's frames, which must come in their order."""

    def __init__(self, manifest: Manifest, thresholds: Thresholds | None = None) -> None:
        self._measurement = Measurement(manifest)
        self._thresholds = thresholds or load_thresholds()

    def look(self, seen: Segmentation, stamp_ns: int, age: float = math.nan) -> Health:
        """Judge a frame by its segmentation, its stamp and its age in seconds (NaN: unknown)."""
        return judge(self._measurement.signals(seen, stamp_ns, age), self._thresholds, seen.fault)


def judge(signals: Signals, thresholds: Thresholds, fault: str = "") -> Health:
    """What the signals come to: trust falls with each one's distance from its bound, all together."""
    excess = {rule: thresholds.bounds[rule.signal].excess(rule, signals[rule.signal]) for rule in RULES}
    costs = {rule: thresholds.bounds[rule.signal].weight * penalty(distance) for rule, distance in excess.items()}
    trust = math.exp(-sum(costs.values()))
    enough = -math.log(thresholds.degraded) if thresholds.degraded else math.inf  # alone it makes the frame degraded
    wrong = [rule for rule in RULES if excess[rule] > 0 or costs[rule] > enough]
    if not wrong and trust < thresholds.degraded:  # much is close to its bound
        wrong = [max(RULES, key=lambda rule: costs[rule])]
    level = Level.BLIND if trust < thresholds.blind else Level.DEGRADED if wrong else Level.OK
    texts = dict.fromkeys(fault if fault and rule.signal == "broken" else rule.text for rule in wrong)
    bounds = {rule.signal: thresholds.bounds[rule.signal].bound for rule in RULES}
    return Health(
        level,
        trust,
        tuple(dict.fromkeys(rule.flag for rule in wrong)),
        "; ".join(list(texts)[:WORST]),
        {rule.signal: signals[rule.signal] for rule in RULES},
        {name: bound if math.isfinite(bound) else math.nan for name, bound in bounds.items()},
    )

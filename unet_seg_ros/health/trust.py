"""Computes how far a mask can be trusted: trust, level, flags and a reason, from a camera's frames and their masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from unet_seg_ros.health.history import History
from unet_seg_ros.health.lens import Lens
from unet_seg_ros.health.picture_signals import Signals, cells, picture_signals, shrunk
from unet_seg_ros.health.prediction_signals import mask_cells, prediction_signals
from unet_seg_ros.health.rules import RULES, Thresholds, load_thresholds, penalty
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.segmenter import Segmentation
from unet_seg_ros.vocabulary import Drop

UNCHANGING = ("road", "sky")
"""Classes that can have no detail for minutes although the lens is clean."""
SMALLEST = 16
"""The pixels of a frame are judged only if its height and its width are at least this many pixels."""
UNKNOWN = {rule.signal: math.nan for rule in RULES}
"""The signals before anything is measured."""
WORST = 3
"""Largest number of reasons in one sentence."""


class Level(IntEnum):
    """The levels of the message CameraHealth."""

    OK = 0
    DEGRADED = 1
    BLIND = 2


@dataclass(frozen=True)
class Health:
    """How far one frame's mask can be trusted. ``trust`` is 0..1. ``flags`` are fixed names, those of the camera before
    those of the mask. ``reason`` is a sentence, empty if nothing is wrong. ``signals`` are the measured values by name,
    NaN if a signal could not be measured, and ``bounds`` are the limits of the signals, NaN if there is no limit."""

    level: Level
    trust: float
    flags: tuple[str, ...]
    reason: str
    signals: Signals
    bounds: Signals


MALFORMED = Health(Level.BLIND, 0.0, ("malformed",), "the message holds no usable image", {}, {})
"""The health of a frame that could not be read."""
FAILED = Health(Level.BLIND, 0.0, ("failed",), "the network could not be run on this frame", {}, {})
"""The health of a frame that was read but not segmented, because memory ran out or the device was lost."""


def unsegmented(reason: str) -> Health:
    """The health of a frame without a mask. ``reason`` is why it was dropped (``Drop``)."""
    return MALFORMED if reason == Drop.MALFORMED else FAILED


class Measurement:
    """Measures the signals of one camera's frames, which must come in order of time."""

    def __init__(self, manifest: Manifest) -> None:
        names = manifest.class_names
        self._history = History()
        self._lens = Lens([names.index(name) for name in UNCHANGING if name in names])
        self._reference = manifest.reference_confidence or math.nan

    def signals(self, seen: Segmentation, stamp_ns: int, age: float = math.nan) -> Signals:
        """All signals by name. ``age`` is in seconds; NaN: the age is not judged. Raises ValueError if the segmentation
        does not contain the frame at the network's size."""
        if seen.working is None:
            raise ValueError("the segmentation does not hold the frame that the network saw")
        classes = mask_cells(seen.mask)
        signals = UNKNOWN | {"broken": float(bool(seen.fault)), "age": age}
        if not seen.fault:
            signals |= prediction_signals(classes, seen.confidence, self._reference)
        frame = shrunk(seen.working)
        if min(frame.shape[:2]) >= SMALLEST:
            small = cells(frame)
            signals |= picture_signals(frame, small)
            grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
            signals |= self._history.signals(frame, grey, classes, stamp_ns)
            signals |= self._lens.signals(frame, grey, classes, stamp_ns)
        return signals


class Monitor:
    """Judges one camera's frames, which must come in order of time."""

    def __init__(self, manifest: Manifest, thresholds: Thresholds | None = None) -> None:
        self._measurement = Measurement(manifest)
        self._thresholds = thresholds or load_thresholds()

    def look(self, seen: Segmentation, stamp_ns: int, age: float = math.nan) -> Health:
        """Judge a frame by its segmentation, its stamp in nanoseconds and its age in seconds (NaN: unknown)."""
        return judge_trust(self._measurement.signals(seen, stamp_ns, age), self._thresholds, seen.fault)


def judge_trust(signals: Signals, thresholds: Thresholds, fault: str = "") -> Health:
    """Compute the trust, and the rest of the health, from the signals. The further each signal is beyond its bound, the
    lower the trust; the effects of all signals are multiplied."""
    excess = [bound.excess(rule, signals[rule.signal]) for rule, bound in thresholds.ruled]
    costs = [bound.weight * penalty(far) for (_, bound), far in zip(thresholds.ruled, excess, strict=True)]
    trust = math.exp(-sum(costs))
    enough = -math.log(thresholds.degraded) if thresholds.degraded else math.inf  # one such cost makes it degraded
    wrong = [rule for rule, far, cost in zip(RULES, excess, costs, strict=True) if far > 0 or cost > enough]
    if not wrong and trust < thresholds.degraded:  # several signals are close to their bounds
        wrong = [RULES[costs.index(max(costs))]]
    level = Level.BLIND if trust < thresholds.blind else Level.DEGRADED if wrong else Level.OK
    texts = dict.fromkeys(fault if fault and rule.signal == "broken" else rule.text for rule in wrong)
    return Health(
        level,
        trust,
        tuple(dict.fromkeys(rule.flag for rule in wrong)),
        "; ".join(list(texts)[:WORST]),
        {rule.signal: signals[rule.signal] for rule in RULES},
        dict(thresholds.limits),
    )

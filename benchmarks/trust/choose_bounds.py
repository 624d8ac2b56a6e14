"""Chooses bounds and weights of the health signals from measurements, for ``config/health.yaml``.

A bound is beyond the values of almost all clean frames, with a margin. The weights are chosen so that trust is as close
as possible to the remaining share of a frame's mIoU, by non-negative least squares of the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.trust.measure import CLEAN, FROZEN, Table
from unet_seg_ros.health.rules import LEAD, RULES, Bound, Rule, Thresholds, penalty

GIVEN = ("broken", "frozen", "veiled", "pattern", "missing_rows", "void", "flicker", "gap", "backwards", "age")
"""Signals whose bounds do not depend on the camera's images. Their bounds and weights are not changed."""
CLEAN_SHARE = 0.99
"""A bound is beyond this quantile of the clean frames."""
MARGIN = 0.3
"""Distance of the bound from that quantile, as a share of the quantile's distance from the median."""
OF_THE_SCENE = dict.fromkeys(("variety", "confidence", "smooth", "blocked", "torn", "cast", "contrast"), 0.6)
"""Larger margins for signals that depend more on the scene than on the camera."""
LEAST_SCALE = {"steps": 0.03, "zipper": 0.3}
SHARE_SCALE = 0.1
"""Smallest scale as a share, because a signal may not vary at all in clean frames."""
LEAST_RATIO = 0.03
"""A smaller remaining share of the mIoU counts as this share."""
Floats = NDArray[np.float64]


def badness(rule: Rule, values: Floats) -> Floats:
    """The values on the axis of a rule's distances, on which larger is worse."""
    axis = np.log2(np.maximum(values, 0) + rule.log) if rule.log else values
    return axis if rule.high else -axis


def choose(table: Table, given: Thresholds) -> Thresholds:
    """Choose thresholds from a table of clean and corrupted frames; those of the ``GIVEN`` signals do not change."""
    clean = table.corruption == CLEAN
    bounds = dict(given.bounds)
    chosen = [rule for rule in RULES if rule.signal not in GIVEN]
    for rule in chosen:
        bad = badness(rule, _column(table, rule.signal))
        bad = bad[clean & np.isfinite(bad)]
        if not bad.size:  # the confidence of a bundle without a reference
            bounds[rule.signal] = Bound(math.inf, 1.0, 0.0)
            continue
        worst, median = (float(np.quantile(bad, share)) for share in (CLEAN_SHARE, 0.5))
        scale = max(worst - median, LEAST_SCALE.get(rule.signal, SHARE_SCALE))
        margin = OF_THE_SCENE.get(rule.signal, MARGIN) * scale
        limit = _value(rule, worst + margin)
        if rule.signal == "confidence":  # trust begins to fall when the confidence is below the reference
            scale = max(scale, (1 - limit) / LEAD)
        bounds[rule.signal] = Bound(limit, scale, 0.0)
    usable = np.isfinite(table.miou) & np.isfinite(table.clean_miou) & (table.corruption != FROZEN)
    penalties = np.stack([_penalties(rule, bounds[rule.signal], table) for rule in chosen], axis=1)[usable]
    lost = -np.log(np.clip(table.miou[usable] / np.maximum(table.clean_miou[usable], 0.05), LEAST_RATIO, 1))
    weights, _ = nnls(penalties, lost)
    for rule, weight in zip(chosen, weights, strict=True):
        bound = bounds[rule.signal]
        bounds[rule.signal] = Bound(bound.bound, bound.scale, float(weight))
    return Thresholds(bounds, given.degraded, given.blind)


def _column(table: Table, signal: str) -> Floats:
    return table.signals[:, list(table.names).index(signal)]


def _value(rule: Rule, bad: float) -> float:
    """Convert a value from the axis of ``badness`` to the signal."""
    axis = bad if rule.high else -bad
    return 2**axis - rule.log if rule.log else axis


def _penalties(rule: Rule, bound: Bound, table: Table) -> Floats:
    return np.array([penalty(bound.excess(rule, float(value))) for value in _column(table, rule.signal)])


def write(path: Path, thresholds: Thresholds, sources: Sequence[str]) -> None:
    """Write the thresholds in the format of ``config/health.yaml``, with four digits."""
    head = (
        "# Bounds of the health signals (unet_seg_ros/health/rules.py says what each means): past its bound a signal\n"
        "# raises its flag; each scale's distance beyond it multiplies trust by exp(-weight). .inf: no bound.\n"
        f"# Chosen on {', '.join(sources)} by `python -m benchmarks.trust --choose`; figures: docs/planners.md.\n"
    )
    rows = {
        rule.signal: {key: _rounded(value) for key, value in thresholds.bounds[rule.signal].__dict__.items()}
        for rule in RULES
    }
    values = {"degraded": thresholds.degraded, "blind": thresholds.blind, "signals": rows}
    path.write_text(head + yaml.safe_dump(values, sort_keys=False, default_flow_style=None), encoding="utf-8")


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")

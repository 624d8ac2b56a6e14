"""Trust, level, flags and reason from signals; thresholds from files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.health.pictures import street
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.health.rules import LEAD, RULES, Bound, Rule, Thresholds, load_thresholds
from unet_seg_ros.health.trust import Level, Measurement, Monitor, judge_trust
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.model.unet import CONFIGS
from unet_seg_ros.segmenter import Segmentation, Timings

MANIFEST = Manifest("m", CONFIGS["nano"], 480 * 360)
SIMPLE = Thresholds({rule.signal: Bound(10.0, 2.0, 0.5) for rule in RULES}, degraded=0.5, blind=0.2)
FINE = {rule.signal: (0.0 if rule.high else 100.0) for rule in RULES}


def seen(number: int, fault: str = "") -> Segmentation:
    frame, mask = street()[number]
    confidence = np.full(mask.shape, 230, np.uint8)
    return Segmentation(mask, confidence, CLASS_NAMES, Timings(0, 0, 0), working=frame, fault=fault)


def test_normal_signals_give_full_trust() -> None:
    health = judge_trust(FINE, SIMPLE)
    assert (health.level, health.trust, health.flags, health.reason) == (Level.OK, 1.0, (), "")
    assert health.signals == FINE
    assert health.bounds == dict.fromkeys(FINE, 10.0)


def test_the_trust_of_one_bad_signal_by_hand() -> None:
    """``white`` is 12: one scale beyond its bound of 10; with the lead."""
    health = judge_trust(FINE | {"white": 12.0}, SIMPLE)
    assert health.trust == pytest.approx(math.exp(-0.5 * (1 + LEAD)))
    assert health.level == Level.DEGRADED
    assert health.flags == ("washed_out",)
    assert health.reason == "too much of the picture is white"


def test_trust_falls_before_a_flag_is_set() -> None:
    health = judge_trust(FINE | {"white": 9.8}, SIMPLE)
    assert health.level == Level.OK
    assert health.trust == pytest.approx(math.exp(-0.5 * (LEAD - 0.1)))


def test_a_heavy_signal_is_named_before_its_bound() -> None:
    """``frozen`` has a high weight, so trust is almost 0 before its bound; ``white`` is beyond its bound."""
    heavy = replace(SIMPLE, bounds={**SIMPLE.bounds, "frozen": Bound(10.0, 2.0, 50.0)})
    health = judge_trust(FINE | {"frozen": 9.8, "white": 12.0}, heavy)
    assert health.flags == ("frozen", "washed_out")
    assert judge_trust(FINE | {"frozen": 8.4, "white": 12.0}, heavy).flags == ("washed_out",)


def test_several_signals_near_their_bounds_degrade_a_frame() -> None:
    near = {rule.signal: (9.9 if rule.high else 10.1) for rule in RULES if not rule.log}
    health = judge_trust(FINE | near, SIMPLE)
    assert health.level != Level.OK
    assert len(health.flags) == 1
    assert health.reason


def test_signals_without_a_value_or_bound_are_not_judged() -> None:
    assert judge_trust(dict.fromkeys(FINE, math.nan), SIMPLE).level == Level.OK
    unbound = Thresholds({rule.signal: Bound(math.inf, 1.0, 1.0) for rule in RULES}, 0.5, 0.2)
    health = judge_trust(dict.fromkeys(FINE, 1e9), unbound)
    assert health.level == Level.OK
    assert all(math.isnan(bound) for bound in health.bounds.values())


RULE = st.sampled_from(RULES)


@given(st.dictionaries(RULE, st.floats(0, 1e6), max_size=6), RULE, st.floats(0, 1e6), st.floats(0, 1e6))
@settings(max_examples=200, deadline=None)
def test_a_worse_signal_never_raises_trust(values: dict[Rule, float], rule: Rule, one: float, other: float) -> None:
    base = FINE | {key.signal: value for key, value in values.items()}
    better, worse = (min(one, other), max(one, other)) if rule.high else (max(one, other), min(one, other))
    first, second = (judge_trust(base | {rule.signal: value}, SIMPLE) for value in (better, worse))
    assert 0 <= second.trust <= first.trust <= 1
    assert second.level >= first.level


def test_a_broken_network_gives_the_level_blind_and_the_reason() -> None:
    health = Monitor(MANIFEST).look(seen(0, "the network's output contains NaN or infinity"), 0)
    assert health.level == Level.BLIND
    assert health.trust < 1e-6
    assert health.flags[0] == "broken_model"
    assert health.reason.startswith("the network's output contains NaN or infinity")


def test_a_frozen_camera_gives_the_level_blind() -> None:
    monitor = Monitor(MANIFEST)
    levels = [monitor.look(seen(0), number * 10**8).level for number in range(12)]
    assert levels[0] != Level.BLIND
    assert levels[-1] == Level.BLIND
    assert "frozen" in monitor.look(seen(0), 12 * 10**8).flags


def test_every_rule_has_a_measured_signal() -> None:
    measurement = Measurement(MANIFEST)
    for number in range(12):
        signals = measurement.signals(seen(number), number * 10**9, age=0.1)
    assert set(signals) == {rule.signal for rule in RULES}
    unknown = {name for name, value in signals.items() if math.isnan(value)}
    assert unknown <= {"confidence", "flicker"}  # no reference in this manifest; the street moves


def test_confidence_is_relative_to_the_models_reference() -> None:
    manifest = Manifest("m", CONFIGS["nano"], 480 * 360, reference_confidence=0.5)
    assert Measurement(manifest).signals(seen(0), 0)["confidence"] == pytest.approx(230 / 255 / 0.5, rel=1e-3)


def test_a_tiny_frame_has_no_picture_signals() -> None:
    tiny = np.zeros((4, 5, 3), np.uint8)
    mask = np.zeros((4, 5), np.uint8)
    small = Segmentation(mask, mask + 255, CLASS_NAMES, Timings(0, 0, 0), working=tiny)
    signals = Measurement(MANIFEST).signals(small, 0)
    assert math.isnan(signals["brightness"])
    assert signals["void"] == 0


def test_a_segmentation_without_its_frame_is_refused() -> None:
    bare = Segmentation(np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8), CLASS_NAMES, Timings(0, 0, 0))
    with pytest.raises(ValueError, match="does not hold the frame"):
        Measurement(MANIFEST).signals(bare, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must have the keys"),
        ("[1]", "must have the keys"),
        ("{degraded: 0.5, blind: 0.7, signals: {}}", "blind the smaller"),
        ("{degraded: high, blind: 0.2, signals: {}}", "degraded: must be a number, not 'high'"),
        ("{degraded: 0.5, blind: 0.2, signals: {}}", "missing or unknown: age"),
        ("{degraded: 0.5, blind: 0.2, signals: {1: {}, null: {}}}", "missing or unknown: 1, None"),
        ('{degraded: "a\\nb", blind: 0.2, signals: {}}', "degraded: must be a number, not"),
        ("degraded: [", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "health.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem) as error:
        load_thresholds(path)
    assert str(path) in str(error.value)


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "health.yaml"
    rows = {rule.signal: "{bound: 1, scale: 1, weight: 1}" for rule in RULES}
    for wrong in ("{bound: 1, scale: 0, weight: 1}", "{bound: 1, scale: 1}", "{bound: .nan, scale: 1, weight: 1}"):
        lines = "\n".join(f"  {name}: {row}" for name, row in (rows | {"white": wrong}).items())
        path.write_text(f"degraded: 0.5\nblind: 0.2\nsignals:\n{lines}\n")
        with pytest.raises(ValueError, match="signals: white"):
            load_thresholds(path)


def test_the_shipped_thresholds_are_read() -> None:
    thresholds = load_thresholds()
    assert 0 < thresholds.blind < thresholds.degraded < 1


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.yaml"):
        load_thresholds(Path("nowhere.yaml"))

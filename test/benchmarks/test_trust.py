"""Parts of the trust benchmark whose results can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.trust import autoware
from benchmarks.trust.choose_bounds import choose, write
from benchmarks.trust.corruptions import CORRUPTIONS, SEVERITIES, Corruption
from benchmarks.trust.evaluate import aurc
from benchmarks.trust.measure import CLEAN, Table
from benchmarks.trust.sources import Marks
from test.health.pictures import street
from unet_seg_ros.data.labels import GROUPINGS, ID_TO_TRAIN_ID, TRAIN_ID_TO_ID
from unet_seg_ros.health.rules import RULES, load_thresholds
from unet_seg_ros.metrics.confusion import ConfusionMatrix


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_stronger_corruptions_change_the_frame_more_and_are_repeatable(corruption: Corruption) -> None:
    frame = street()[0][0][:97, :131]
    before = frame.copy()
    changes = []
    for severity in SEVERITIES:
        corrupted, again = (corruption(frame, severity, np.random.default_rng(3)) for _ in range(2))
        assert (corrupted.shape, corrupted.dtype) == (frame.shape, np.uint8)
        np.testing.assert_array_equal(corrupted, again)
        changes.append(float(np.abs(corrupted.astype(int) - frame).mean()))
    np.testing.assert_array_equal(frame, before)
    assert changes[0] > 0
    assert changes[-1] > changes[0]


def test_for_labels_of_one_class_the_iou_is_the_usual_one() -> None:
    """Compared with the confusion matrix, which is compared with cityscapesScripts elsewhere."""
    rng = np.random.default_rng(0)
    truth = street()[0][1]
    mask = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 19, truth.shape), truth).astype(np.uint8)
    matrix = ConfusionMatrix(GROUPINGS["cityscapes19"])
    label = TRAIN_ID_TO_ID[truth]
    matrix.update(ID_TO_TRAIN_ID[label], mask)
    assert Marks("cityscapes").mean_iou(label, mask) == pytest.approx(matrix.mean_iou())


def test_iou_of_label_sets_by_hand() -> None:
    """IDD's group 0 is road or terrain, group 1 sidewalk or terrain: terrain is right in both."""
    label = np.array([[0, 0, 0, 1]], np.uint8)
    mask = np.array([[0, 9, 1, 9]], np.uint8)  # road, terrain, sidewalk (wrong), terrain
    # group 0: 2 right, 1 missed; group 1: 1 right, 1 false; group 4 may be sidewalk too: 1 false
    assert Marks("idd7").mean_iou(label, mask) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_aurc_by_hand() -> None:
    risk = np.array([0.0, 0.5, 1.0])
    assert aurc(np.array([3.0, 2.0, 1.0]), risk) == pytest.approx((0 + 0.25 + 0.5) / 3)
    assert aurc(np.array([1.0, 2.0, 3.0]), risk) == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert aurc(np.zeros(3), risk) == pytest.approx(0.5), "frames that cannot be told apart are kept together"


@pytest.mark.parametrize(("level", "expected"), [(0, 2), (255, 2)])
def test_the_peers_rules_on_pictures_of_one_tone(level: int, expected: int) -> None:
    """All 25 blocks are dark or backlit."""
    assert autoware.level(np.full((240, 320, 3), level, np.uint8)) == expected


def test_the_peers_rules_on_a_street() -> None:
    assert autoware.level(street()[0][0]) == 0


def test_chosen_bounds_pass_clean_frames_and_weights_follow_the_loss_of_accuracy(tmp_path: Path) -> None:
    """Noise halves the mIoU, white does not change it, and all other signals stay constant."""
    rng = np.random.default_rng(0)
    names = [rule.signal for rule in RULES]
    count = 400
    signals = np.full((3 * count, len(names)), 1.0)
    noise, white = names.index("noise"), names.index("white")
    signals[:, noise], signals[:, white] = rng.uniform(1, 2, 3 * count), rng.uniform(0, 0.2, 3 * count)
    signals[count : 2 * count, noise], signals[2 * count :, white] = 12.0, 0.9
    miou = np.where(np.arange(3 * count) // count == 1, 0.25, 0.5)
    corruption = np.repeat([CLEAN, "noise", "white"], count)
    zeros = np.zeros(3 * count, int)
    table = Table(corruption, corruption, zeros, zeros, miou, np.full(3 * count, 0.5), zeros, zeros, np.array(names),
                  signals)  # fmt: skip
    chosen = choose(table, load_thresholds())
    assert 2 < chosen.bounds["noise"].bound < 12
    assert 0.2 < chosen.bounds["white"].bound < 0.9
    assert chosen.bounds["noise"].weight > 0.05
    assert chosen.bounds["white"].weight < 0.02
    assert chosen.bounds["frozen"] == load_thresholds().bounds["frozen"]
    write(tmp_path / "health.yaml", chosen, ["here"])
    read = load_thresholds(tmp_path / "health.yaml")
    for name, bound in chosen.bounds.items():
        assert read.bounds[name].bound == pytest.approx(bound.bound, rel=1e-3)

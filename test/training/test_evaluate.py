"""Evaluation of a bundle on a split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.evaluate import evaluate, main, table
from unet_seg_ros.cityscapes import find_pairs
from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS, LABELS
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(tmp_path / "tiny.safetensors", UNet(CONFIG), Manifest("tiny", CONFIG, max_pixels=1000))
    return tmp_path / "tiny.safetensors"


def test_the_matrix_is_the_sum_of_the_frames(town: Path, bundle: Path) -> None:
    segmenter = Segmenter.load(bundle, device="cpu")
    matrix = evaluate(segmenter, town, "train", GROUPINGS["camvid11"]).matrix
    groups = GROUPINGS["camvid11"].members
    expected = np.zeros((11, 12), np.int64)
    for pair in find_pairs(town, "train"):
        mask = segmenter([cv2.cvtColor(cv2.imread(str(pair.image)), cv2.COLOR_BGR2RGB)])[0].mask
        label = cv2.imread(str(pair.label), cv2.IMREAD_GRAYSCALE)
        for label_id, train_id in zip(label.flat, mask.flat, strict=True):
            row = [g for g, members in enumerate(groups) if LABELS[label_id].train_id in members]
            column = [g for g, members in enumerate(groups) if train_id in members]
            if row:
                expected[row[0], column[0]] += 1
    np.testing.assert_array_equal(matrix, expected)
    assert expected.sum() == 6 * (64 * 80 - 16)


def test_a_bundle_of_other_classes_is_refused(town: Path, bundle: Path) -> None:
    segmenter = Segmenter.load(bundle, device="cpu")
    names = ("something", *CLASS_NAMES[1:])
    segmenter.manifest = dataclasses.replace(segmenter.manifest, class_names=names)
    with pytest.raises(ValueError, match=r"tiny-\w+: its classes are not Cityscapes' 19"):
        evaluate(segmenter, town, "train", GROUPINGS["cityscapes19"])


def test_a_label_of_another_size_is_named(town: Path, bundle: Path) -> None:
    label = find_pairs(town, "train")[2].label
    assert cv2.imwrite(str(label), np.zeros((64, 79), np.uint8))
    with pytest.raises(ValueError, match=r"town_000000_000002_gtFine_labelIds\.png: \(64, 79\) pixels"):
        evaluate(Segmenter.load(bundle, device="cpu"), town, "train", GROUPINGS["cityscapes19"])


def test_the_table_leaves_out_what_does_not_occur() -> None:
    matrix = ConfusionMatrix(GROUPINGS["categories"])
    matrix.update(np.array([[0, 0, 0, 13]], np.uint8), np.array([[0, 0, 13, 13]], np.uint8))
    rows = [line.rsplit(maxsplit=1) for line in table(matrix).splitlines()]
    assert {name.strip(): value for name, value in rows} == {
        **dict.fromkeys(("construction", "object", "nature", "sky", "human"), "–"),
        "flat": "66.7",
        "vehicle": "50.0",
        "mIoU": "58.3",
        "pixel accuracy": "75.0",
    }


def test_the_command_prints_the_table_or_one_line(
    town: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", str(bundle), str(town), "train", "--grouping", "camvid11"])
    main()
    first_words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert first_words == [*GROUPINGS["camvid11"].names, "mIoU", "pixel"]
    monkeypatch.setattr("sys.argv", ["evaluate", str(bundle), str(town), "val"])
    with pytest.raises(SystemExit, match=r"^.*splits under .*: train$"):
        main()

"""Evaluation of a bundle on a split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.evaluate import main, table
from training.evaluation import Evaluation, evaluate
from unet_seg_ros.cityscapes import find_pairs
from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS, LABELS
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
    matrix = evaluate(segmenter, town, "train", GROUPINGS["camvid11"]).matrix.matrix
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


def test_the_table_leaves_out_what_does_not_occur(town: Path, bundle: Path) -> None:
    evaluation = Evaluation(GROUPINGS["categories"])
    label, mask = np.array([[0, 0, 0, 13]], np.uint8), np.array([[0, 0, 13, 13]], np.uint8)
    evaluation.update(find_pairs(town, "train")[0], label, mask, np.full((1, 4), 255, np.uint8))
    rows = [line.split() for line in table(evaluation).splitlines()]
    assert rows[0] == ["IoU", "boundary"]
    names = ("construction", "object", "nature", "sky", "human")
    assert {name: values for name, *values in rows[1:]} == {
        **{name: ["–", "–"] for name in names},
        "flat": ["66.7", "66.7"],
        "vehicle": ["50.0", "50.0"],
        "miou": ["58.3"],
        "category_miou": ["58.3"],
        "boundary_miou": ["58.3"],
        "pixel_accuracy": ["75.0"],
        "expected_calibration_error": ["25.0"],
    }


def test_only_the_named_cities_count(town: Path, bundle: Path) -> None:
    for kind in ("leftImg8bit", "gtFine"):
        (town / kind / "train" / "other").mkdir()
        for path in sorted((town / kind / "train" / "town").glob("*_00000[0-3]_[lg]*")):
            path.rename(path.parents[1] / "other" / path.name)
    segmenter, grouping = Segmenter.load(bundle, device="cpu"), GROUPINGS["cityscapes19"]
    parts = [evaluate(segmenter, town, "train", grouping, cities) for cities in (["other"], ["town"], [])]
    assert [len(part.frames) for part in parts] == [4, 2, 6]
    np.testing.assert_array_equal(parts[0].matrix.matrix + parts[1].matrix.matrix, parts[2].matrix.matrix)
    with pytest.raises(ValueError, match="train: no city nowhere; there are other, town"):
        evaluate(segmenter, town, "train", grouping, ["nowhere"])


def test_a_frame_without_labelled_pixels_counts_nothing(town: Path, bundle: Path) -> None:
    assert cv2.imwrite(str(find_pairs(town, "train")[1].label), np.zeros((64, 80), np.uint8))
    evaluation = evaluate(Segmenter.load(bundle, device="cpu"), town, "train", GROUPINGS["cityscapes19"])
    assert [np.isnan(frame.miou) for frame in evaluation.frames] == [False, True, False, False, False, False]
    assert evaluation.matrix.matrix.sum() == 5 * (64 * 80 - 16)
    assert np.isfinite(list(evaluation.summary().values())).all()


def test_the_command_prints_the_table_or_one_line(
    town: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["evaluate", str(bundle), str(town)]
    output = ["--output", str(tmp_path / "report")]
    monkeypatch.setattr("sys.argv", [*common, "train", "--grouping", "camvid11", "--flip", *output])
    main()
    first_words = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert first_words[1:13] == [*GROUPINGS["camvid11"].names, "miou"]
    assert first_words[17:31] == ["averaged", "IoU", *GROUPINGS["camvid11"].names, "miou"]
    assert (tmp_path / "report" / "report.json").exists()
    monkeypatch.setattr("sys.argv", common)
    with pytest.raises(SystemExit, match=r"^.*val: .*splits under .*: train$"):
        main()
    monkeypatch.setattr("sys.argv", [*common, "train", "--scales", "0"])
    with pytest.raises(SystemExit, match=r"^scales must be above 0, not \[0.0\]$"):
        main()

"""Evaluation of a bundle on a split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.evaluate import main, table
from training.evaluation.evaluation import Evaluation, evaluate
from training.evaluation.test_time_augmentation import Looks
from unet_seg_ros.data.cityscapes import Pair, find_pairs
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, LABELS, VOID
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CLASS_IDS = [label.id for t in range(19) for label in LABELS if label.train_id == t]
CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(tmp_path / "tiny.safetensors", UNet(CONFIG), Manifest("tiny", CONFIG, max_pixels=1000))
    return tmp_path / "tiny.safetensors"


def test_the_matrix_is_the_sum_of_the_frames(town: Path, bundle: Path) -> None:
    segmenter = Segmenter.load(bundle, device="cpu")
    matrix = evaluate(segmenter, town, "train", GROUPINGS["camvid11"]).score.confusion.matrix
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


def test_all_figures_use_the_same_frames(town: Path, bundle: Path) -> None:
    """Computed from the masks of all frames side by side, by the definitions."""
    segmenter = Segmenter.load(bundle, device="cpu")
    evaluation = evaluate(segmenter, town, "train", GROUPINGS["cityscapes19"])
    seen, labels = [], []
    for pair, score in zip(find_pairs(town, "train"), evaluation.frames, strict=True):
        seen.append(segmenter([cv2.cvtColor(cv2.imread(str(pair.image)), cv2.COLOR_BGR2RGB)])[0])
        ids = cv2.imread(str(pair.label), cv2.IMREAD_GRAYSCALE)
        labels.append(np.array([[LABELS[i].train_id for i in row] for row in ids]))
        known = labels[-1] != VOID
        assert score.pair == pair
        assert score.pixel_accuracy == (labels[-1] == seen[-1].mask)[known].mean()
        a, b = labels[-1][known], seen[-1].mask[known]
        ious = [np.sum((a == k) & (b == k)) / np.sum((a == k) | (b == k)) for k in np.union1d(a, b)]
        assert score.miou == pytest.approx(np.mean(ious), rel=1e-12)
    label, mask = np.concatenate(labels), np.concatenate([one.mask for one in seen])
    known = label != VOID
    figures = evaluation.summary()
    assert figures["pixel_accuracy"] == (label == mask)[known].mean()
    categories = np.array([*(LABELS[i].category for i in map(CLASS_IDS.__getitem__, range(19))), *[""] * 237])
    label_categories, mask_categories = categories[label][known], categories[mask][known]
    category_ious = [
        np.sum((label_categories == name) & (mask_categories == name))
        / np.sum((label_categories == name) | (mask_categories == name))
        for name in np.union1d(label_categories, mask_categories)
    ]
    assert figures["category_miou"] == pytest.approx(np.mean(category_ious), rel=1e-12)
    confidence = np.concatenate([one.confidence for one in seen])[known] / 255
    assert 0 <= figures["expected_calibration_error"] <= 1
    overall = abs(confidence.mean() - figures["pixel_accuracy"])  # of one bin: no more than of several
    assert overall <= figures["expected_calibration_error"] + 1e-12


def test_a_frame_without_labelled_pixels_changes_nothing(town: Path, bundle: Path) -> None:
    segmenter = Segmenter.load(bundle, device="cpu")
    before = evaluate(segmenter, town, "train", GROUPINGS["camvid11"])
    void = find_pairs(town, "train")[1]
    assert cv2.imwrite(str(void.label), np.zeros((64, 80), np.uint8))
    after = evaluate(segmenter, town, "train", GROUPINGS["camvid11"])
    assert np.isnan(after.frames[1].miou)
    assert np.isnan(after.frames[1].pixel_accuracy)
    assert [*after.frames[:1], *after.frames[2:]] == [*before.frames[:1], *before.frames[2:]]
    for pair in find_pairs(town, "train"):
        assert cv2.imwrite(str(pair.label), np.zeros((64, 80), np.uint8))
    with pytest.raises(ValueError, match="the labels hold the ids 0; none is in the class map cityscapes"):
        evaluate(segmenter, town, "train", GROUPINGS["camvid11"])


@pytest.fixture
def two_cities(town: Path) -> Path:
    """The last two frames moved to another city."""
    for pair in find_pairs(town, "train")[4:]:
        for path in (pair.image, pair.label):
            assert path is not None
            folder = path.parents[1] / "village"
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name.replace("town_", "village_"))
    return town


def test_only_the_chosen_cities_are_measured(two_cities: Path, bundle: Path) -> None:
    segmenter, grouping = Segmenter.load(bundle, device="cpu"), GROUPINGS["camvid11"]
    town = evaluate(segmenter, two_cities, "train", grouping, ["town"])
    village = evaluate(segmenter, two_cities, "train", grouping, ["village"])
    both = evaluate(segmenter, two_cities, "train", grouping)
    assert [len(one.frames) for one in (town, village, both)] == [4, 2, 6]
    np.testing.assert_array_equal(
        town.score.confusion.matrix + village.score.confusion.matrix, both.score.confusion.matrix
    )
    np.testing.assert_array_equal(
        town.score.calibration.counts + village.score.calibration.counts, both.score.calibration.counts
    )
    looked = evaluate(segmenter, two_cities, "train", grouping, ["village"], Looks(flip=True))
    assert [score.pair for score in looked.frames] == [score.pair for score in village.frames]
    with pytest.raises(ValueError, match=r"train: no city hamlet; there are town, village$"):
        evaluate(segmenter, two_cities, "train", grouping, ["town", "hamlet"])


def test_train_ids_under_the_name_of_label_ids_are_not_measured(town: Path, bundle: Path) -> None:
    """Their 7, 8, 11, 12 and 13 are also label ids, of other things, and give figures that look right."""
    for pair in find_pairs(town, "train"):
        ids = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        trained = np.select([ids == 7, ids == 23, ids == 26], [0, 8, 13], 255).astype(np.uint8)
        assert cv2.imwrite(str(pair.label), trained)
    with pytest.raises(ValueError, match=r"train: the labels hold the ids 0, 8, 13, 255, which look like train ids"):
        evaluate(Segmenter.load(bundle, device="cpu"), town, "train", GROUPINGS["cityscapes19"])


def test_an_output_that_cannot_be_written_is_found_before_the_work(
    town: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"Not a directory.*tiny\.safetensors"):
        run(monkeypatch, bundle, town, "train", "--output", bundle)
    assert capsys.readouterr().out == ""


def test_the_table_leaves_out_missing_classes() -> None:
    evaluation = Evaluation(GROUPINGS["categories"])
    label, mask = np.array([[0, 0, 0, 13]], np.uint8), np.array([[0, 0, 13, 13]], np.uint8)
    evaluation.update(Pair("a", Path("a"), None), label, mask, np.full((1, 4), 255, np.uint8))
    header, *rows = table(evaluation).splitlines()
    assert header.split() == ["IoU", "boundary"]
    assert {row.split()[0]: row.split()[1:] for row in rows} == {
        **{name: ["–", "–"] for name in ("construction", "object", "nature", "sky", "human")},
        "flat": ["66.7", "66.7"],
        "vehicle": ["50.0", "50.0"],
        "miou": ["58.3"],
        "category_miou": ["58.3"],
        "boundary_miou": ["58.3"],
        "pixel_accuracy": ["75.0"],
        "expected_calibration_error": ["25.0"],
    }


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", *map(str, arguments)])
    main()


def test_the_command_prints_the_table_or_one_line(
    town: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, bundle, town, "train", "--grouping", "camvid11")
    plain = capsys.readouterr().out
    first_words = [line.split()[0] for line in plain.splitlines()]
    assert first_words[1:12] == [*GROUPINGS["camvid11"].names]
    run(monkeypatch, bundle, town, "train", "--grouping", "camvid11", "--flip", "--scales", "0.75", "1")
    both = capsys.readouterr().out
    assert both.startswith(plain)  # the figures of the Segmenter do not change
    apart = both.removeprefix(plain).splitlines()
    assert [line.split()[0] for line in apart[3:]] == first_words[1:]
    with pytest.raises(SystemExit, match=r"^.*splits under .*: train$"):
        run(monkeypatch, bundle, town)  # the split val does not exist
    with pytest.raises(SystemExit, match=r"^.*no city nowhere; there are town$"):
        run(monkeypatch, bundle, town, "train", "--cities", "nowhere")
    with pytest.raises(SystemExit, match=r"^scales must be above 0 and at most 8, not \[1\.0, 0\.0\]$"):
        run(monkeypatch, bundle, town, "train", "--scales", "1", "0")

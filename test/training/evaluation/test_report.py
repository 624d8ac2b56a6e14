"""The files that an evaluation writes."""

from __future__ import annotations

import csv
import json
import os
import weakref
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.evaluate import main
from training.evaluation import report as module
from training.evaluation.evaluation import Evaluation, FrameScore, evaluate
from training.evaluation.report import WORST, confusion_figure, figures, worst, write_report
from training.evaluation.test_time_augmentation import Looks
from unet_seg_ros.data.cityscapes import Pair, find_pairs
from unet_seg_ros.data.labels import CLASS_COLORS, GROUPINGS
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Random weights whose most frequent outputs (7, 8, 11) are renamed road, sky and car."""
    torch.manual_seed(0)
    ids = list(range(19))
    for often, meant in ((7, 0), (8, 10), (11, 13)):
        ids[often], ids[meant] = ids[meant], ids[often]
    manifest = Manifest("tiny", CONFIG, max_pixels=64 * 80, class_ids=tuple(ids))
    save_bundle(tmp_path / "tiny.safetensors", UNet(CONFIG), manifest)
    return tmp_path / "tiny.safetensors"


def test_the_command_writes_all_files(
    town: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report"
    command = [bundle, town, "train", "--grouping", "camvid11", "--scales", "0.75", "--output", output]
    monkeypatch.setattr("sys.argv", ["evaluate", *map(str, command)])
    main()
    names = {"report.json", "per_frame.csv", "confusion.png", "reliability.png", "worst.png", "worst"}
    assert {path.name for path in output.iterdir()} == names
    for path in [*output.glob("*.png"), *(output / "worst").iterdir()]:
        assert cv2.imread(str(path)) is not None
    segmenter = Segmenter.load(bundle)
    evaluation = evaluate(segmenter, town, "train", GROUPINGS["camvid11"])
    report = json.loads((output / "report.json").read_text())
    assert report["bundle"] == segmenter.model_id
    assert (report["data"], report["split"]) == (str(town), "train")
    assert report["looks"]["scales"] == [0.75]
    np.testing.assert_array_equal(np.array([*report["boundary_iou"].values()], float), evaluation.score.boundary.iou())
    expected = json.loads(json.dumps(figures(evaluation), allow_nan=False))
    assert {key: report[key] for key in expected} == expected
    apart = evaluate(segmenter, town, "train", GROUPINGS["camvid11"], looks=Looks((0.75,)))
    assert report["apart"] == json.loads(json.dumps(figures(apart)))
    assert report["apart"]["confusion"] != report["confusion"]
    with (output / "per_frame.csv").open() as file:
        rows = [(row["name"], float(row["miou"]), float(row["pixel_accuracy"])) for row in csv.DictReader(file)]
    assert rows == [(score.pair.name, score.miou, score.pixel_accuracy) for score in evaluation.frames]
    ranks = [path.name[3:-4].rsplit("_", 1)[0] for path in sorted((output / "worst").iterdir())]
    assert ranks == [name for _, name in sorted((score, name) for name, score, _ in rows)]


def test_json_holds_every_figure_and_null_for_missing_ones() -> None:
    evaluation = Evaluation(GROUPINGS["categories"])
    label, mask = np.array([[0, 0, 0, 13]], np.uint8), np.array([[0, 0, 13, 13]], np.uint8)
    evaluation.update(Pair("a", Path("a"), None), label, mask, np.full((1, 4), 255, np.uint8))
    there = json.loads(json.dumps(figures(evaluation), allow_nan=False))
    assert there["iou"]["flat"] == 2 / 3
    assert there["iou"]["sky"] is there["boundary_iou"]["sky"] is there["category_iou"]["sky"] is None
    assert (there["frames"], there["pixel_accuracy"], there["expected_calibration_error"]) == (1, 0.75, 0.25)
    np.testing.assert_array_equal(there["confusion"], evaluation.score.confusion.matrix)
    assert there["reliability"]["pixels"] == [0] * 14 + [4]
    assert there["reliability"]["accuracy"] == [None] * 14 + [0.75]
    nothing = json.loads(json.dumps(figures(Evaluation(GROUPINGS["camvid11"])), allow_nan=False))
    assert nothing["miou"] is None
    assert set(nothing["iou"].values()) == {None}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [0, 3, 10, 40])
def test_the_worst_frames_have_the_lowest_miou(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    mious = rng.permutation(np.linspace(0, 1, count))
    mious[rng.random(count) < 0.2] = np.nan
    frames = [FrameScore(Pair(str(n), Path("a"), None), float(miou), 0.5) for n, miou in enumerate(mious)]
    chosen = worst(frames)
    remaining = [score.miou for score in frames if score not in chosen and score.miou == score.miou]
    assert len(chosen) == min(WORST, int(np.isfinite(mious).sum()))
    assert all(this.miou < following.miou for this, following in pairwise(chosen))
    assert not remaining or chosen[-1].miou < min(remaining)


def test_the_pictures_show_groups_and_their_errors(town: Path, bundle: Path, tmp_path: Path) -> None:
    """In label and prediction each group has the colour of its first class; errors compare groups."""
    segmenter, grouping = Segmenter.load(bundle, device="cpu"), GROUPINGS["camvid11"]
    evaluation = evaluate(segmenter, town, "train", grouping)
    (tmp_path / "report" / "worst").mkdir(parents=True)
    (tmp_path / "report" / "worst" / "11_stale.png").touch()
    write_report(tmp_path / "report", segmenter, evaluation, {})
    pictures = sorted((tmp_path / "report" / "worst").iterdir())
    assert len(pictures) == 6
    for path in pictures:
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        assert picture.shape[1] == 4 * 80
        assert picture.shape[0] > 64  # the legend
        image, label, prediction, error = np.hsplit(picture[:64], 4)
        pair = next(pair for pair in find_pairs(town, "train") if pair.name in path.name)
        np.testing.assert_array_equal(image, cv2.cvtColor(cv2.imread(str(pair.image)), cv2.COLOR_BGR2RGB))
        mask = segmenter([image])[0].mask
        for y, x in np.ndindex(mask.shape):
            group = next((members for members in grouping.members if mask[y, x] in members), None)
            assert tuple(prediction[y, x]) == (CLASS_COLORS[group[0]] if group else (0, 0, 0))
        void = (label == 0).all(axis=2)
        assert void.sum() == 16
        assert (error[void] == 0).all()
        wrong = (label != prediction).any(axis=2) & ~void
        np.testing.assert_array_equal((error == (220, 20, 20)).all(axis=2), wrong)


def test_figures_are_written_whatever_the_names_and_pictures_are(
    town: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in [*town.rglob("*_000001_*.png")]:
        path.rename(path.with_name(path.name.replace("town_", os.fsdecode(b"=\xff_"))))
    segmenter, output = Segmenter.load(bundle, device="cpu"), tmp_path / "report"
    evaluation = evaluate(segmenter, town, "train", GROUPINGS["cityscapes19"])
    monkeypatch.setattr(module, "frame_panels", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(output, segmenter, evaluation, {})
    assert json.loads((output / "report.json").read_text())["frames"] == 6
    names = [row["name"] for row in csv.DictReader((output / "per_frame.csv").open(newline="", encoding="utf-8"))]
    assert "'=\\udcff_000000_000001" in names
    monkeypatch.undo()
    write_report(output, segmenter, evaluation, {})
    assert len(list((output / "worst").iterdir())) == 6


def test_void_predictions_get_a_column_only_if_there_are_any() -> None:
    evaluation = Evaluation(GROUPINGS["camvid11"])
    assert len(confusion_figure(evaluation.score.confusion).axes[0].get_xticks()) == 11
    label = np.zeros((1, 1), np.uint8)
    evaluation.score.confusion.update(label, np.full((1, 1), 255, np.uint8))
    axes = confusion_figure(evaluation.score.confusion).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()][-1] == "none of these"
    assert [text.get_text() for text in axes.texts] == ["100"]


def test_the_pictures_use_the_class_map(town: Path, bundle: Path, tmp_path: Path) -> None:
    """IDD's label ids 0 and 6 are void in Cityscapes; here they are a road and a sky."""
    for pair in find_pairs(town, "train"):
        assert pair.label is not None
        label = np.zeros((64, 80), np.uint8)
        label[:20], label[20:30] = 6, 255
        assert cv2.imwrite(str(pair.label), label)
    segmenter = Segmenter.load(bundle, device="cpu")
    evaluation = evaluate(segmenter, town, "train", GROUPINGS["idd7"], class_map="idd7")
    write_report(tmp_path / "report", segmenter, evaluation, {})
    shown = cv2.cvtColor(cv2.imread(str(next((tmp_path / "report" / "worst").iterdir()))), cv2.COLOR_BGR2RGB)
    label = np.hsplit(shown[:64], 4)[1]
    assert (label[40:] == CLASS_COLORS[0]).all()
    assert (label[:20] == CLASS_COLORS[10]).all()
    assert (label[20:30] == 0).all()


def test_masks_are_not_kept_in_memory() -> None:
    """The masks of Cityscapes' validation split take a gigabyte."""
    evaluation = Evaluation(GROUPINGS["cityscapes19"])
    label, kept = np.zeros((64, 96), np.uint8), []
    for number in range(5):
        mask = np.full_like(label, number)
        kept.append(weakref.ref(mask))
        evaluation.update(Pair(str(number), Path("x"), None), label, mask, mask)
        del mask
    assert sum(found() is not None for found in kept) <= 1

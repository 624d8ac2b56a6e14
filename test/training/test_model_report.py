"""The tables and pictures of a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from test.replay import drives
from training.evaluation.evaluation import FrameScore, evaluate
from training.model_report import SETS, best_median_worst, main, summary_table, unlabelled
from unet_seg_ros.data.cityscapes import Pair, find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_bundle(path, UNet(CONFIG), Manifest("tiny", CONFIG, max_pixels=64 * 80, data_terms="for tests alone"))
    return path


@pytest.fixture
def data(town: Path, tmp_path: Path) -> Path:
    """IDD and Cityscapes, a camera without labels and a video."""
    root = tmp_path / "data"
    for name in ("cityscapes256", "idd"):
        for kind in ("leftImg8bit", "gtFine"):
            target = root / name / kind / "val" / "town"
            target.mkdir(parents=True)
            for path in (town / kind / "train" / "town").iterdir():
                (target / path.name).write_bytes(path.read_bytes())
    for pair in find_pairs(root / "idd", "val"):
        assert pair.label is not None
        label = np.zeros((64, 80), np.uint8)
        label[:30], label[30:32] = 6, 255
        assert cv2.imwrite(str(pair.label), label)
    for index in range(14):
        drives.write_image(root / "unlabelled" / f"night_{index:02}.jpg", drives.picture(index))
    drives.write_video(root / "drive.avi", 5, 10.0)
    return root


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["model_report", *map(str, arguments)])
    main()


def test_the_card_has_the_figures_of_every_set(
    data: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command(monkeypatch, bundle, output, "--data", data)
    said = capsys.readouterr()
    assert said.out == (output / "card.md").read_text()
    assert said.err.count("left out, because") == 2
    segmenter = Segmenter.load(bundle)
    assert said.out.startswith(f"`{segmenter.model_id}`: ")
    for labelled in SETS[:2]:
        grouping = GROUPINGS[labelled.grouping]
        evaluation = evaluate(segmenter, data / labelled.folder, "val", grouping, class_map=labelled.class_map)
        row = summary_table([(labelled, evaluation)]).splitlines()[-1]
        assert row in said.out
        assert row.endswith("| – |")
        assert f"| 6 | {len(grouping.names)} (`{grouping.name}`) |" in row
        for name, iou in zip(grouping.names, evaluation.score.confusion.iou(), strict=True):
            assert f"| {name} | {'–' if iou != iou else f'{100 * iou:.1f}'} |" in said.out
        report = json.loads((output / labelled.folder / "report.json").read_text())
        assert report["miou"] == evaluation.score.confusion.mean_iou()
        assert read_image(output / labelled.folder / "best_median_worst.png").shape[1] == 1600
    pictures = {path.name for path in output.glob("*.png")}
    assert pictures == {"unlabelled_night.png", "unlabelled_drive.png"}


def test_a_drive_has_the_accuracy_of_arrived_masks(
    town: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CamVid val is a drive; here the town's frames are used instead."""
    for kind in ("leftImg8bit", "gtFine"):
        target = tmp_path / "data" / "camvid" / kind / "val" / "town"
        target.mkdir(parents=True)
        for path in (town / kind / "train" / "town").iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    command(monkeypatch, bundle, tmp_path / "out", "--data", tmp_path / "data")
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("| CamVid val |"))
    assert re.fullmatch(r"\d+\.\d / \d+\.\d / \d+\.\d", row.strip("| ").split(" | ")[-1])
    assert re.search(r"^CamVid val: a mask arrived after \d+ ms\.$", said, re.MULTILINE)


def scores(mious: Sequence[float]) -> list[FrameScore]:
    return [FrameScore(Pair(str(n), Path("a"), None), miou, 0.5) for n, miou in enumerate(mious)]


def test_the_best_the_median_and_the_worst_frames_are_shown() -> None:
    mious = np.random.default_rng(0).permutation(np.linspace(0, 1, 21))
    chosen = [round(20 * score.miou) for score in best_median_worst(scores([*mious.tolist(), float("nan")]))]
    assert chosen == [20, 19, 18, 11, 10, 9, 2, 1, 0]


@pytest.mark.parametrize("count", range(8))
def test_with_few_frames_each_is_shown_once(count: int) -> None:
    chosen = best_median_worst(scores([n / 10 for n in range(count)]))
    names = [score.pair.name for score in chosen]
    assert len(set(names)) == len(names) == count


def test_cameras_are_distinguished_by_file_names(tmp_path: Path) -> None:
    for name in ("flir_roadscene_001.jpg", "flir_roadscene_2.jpg", "kitti-000.png", "7.png", "notes.txt"):
        (tmp_path / "unlabelled").mkdir(exist_ok=True)
        (tmp_path / "unlabelled" / name).touch()
    found = {name: len(files) for name, files in unlabelled(tmp_path)}
    assert found == {"flir_roadscene": 2, "kitti": 1, "other": 1}


def test_without_data_no_card_is_written(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="none of these folders exists: cityscapes256, idd, camvid, synthetic"):
        command(monkeypatch, bundle, tmp_path / "out", "--data", tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()

"""What an evaluation leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from training.evaluation import Evaluation, FrameScore, evaluate
from training.evaluation_report import figures, worst, write_report
from unet_seg_ros.cityscapes import Pair
from unet_seg_ros.labels import GROUPINGS
from unet_seg_ros.model.bundle import Bundle, Manifest
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture
def segmenter() -> Segmenter:
    config = UNetConfig(widths=(8, 8), depths=(1, 1))
    return Segmenter.load(Bundle(Manifest("x", config, 1000), UNet(config).state_dict(), "d" * 64), device="cpu")


def test_figures_and_pictures_are_there(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    evaluation = evaluate(segmenter, town, "train", GROUPINGS["camvid11"])
    for _ in range(2):  # a second report takes the place of the first
        write_report(tmp_path, segmenter, evaluation, {"split": "train"})
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["bundle"] == "x-dddddddddddd"
    assert (report["split"], report["frames"], report["apart"]) == ("train", 6, None)
    assert report["miou"] == evaluation.matrix.mean_iou()
    assert np.array(report["confusion"]).sum() == 6 * (64 * 80 - 16)
    assert list(report["iou"]) == list(GROUPINGS["camvid11"].names)
    rows = pd.read_csv(tmp_path / "per_frame.csv")
    np.testing.assert_allclose(rows["miou"], [frame.miou for frame in evaluation.frames])
    for name in ("confusion.png", "reliability.png"):
        assert cv2.imread(str(tmp_path / name)) is not None
    pictures = sorted((tmp_path / "worst").glob("*.png"))
    assert [path.name[:2] for path in pictures] == ["01", "02", "03", "04", "05", "06"]
    lowest = rows.sort_values("miou").iloc[0]
    assert pictures[0].name == f"01_{lowest['name']}_{100 * lowest['miou']:.1f}.png"
    first = cv2.imread(str(pictures[0]))
    assert first is not None
    assert first.shape[1] == 4 * 80


def test_the_worst_are_the_worst() -> None:
    rng = np.random.default_rng(0)
    scores = [float(score) for score in rng.permutation(30) / 30] + [float("nan")] * 3
    frames = [FrameScore(Pair(str(n), Path("x"), None), score, 1.0) for n, score in enumerate(scores)]
    found = [frame.miou for frame in worst(frames)]
    assert found == sorted(score for score in scores if score == score)[:10]


def test_what_was_not_measured_is_null() -> None:
    values = figures(Evaluation(GROUPINGS["categories"]))
    assert values["miou"] is None
    assert json.loads(json.dumps(values, allow_nan=False))["iou"] == dict.fromkeys(GROUPINGS["categories"].names)

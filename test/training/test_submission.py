"""A submission, as cityscapesScripts' own evaluation reads it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as theirs  # type: ignore[import]

from training import submission as module
from training.evaluation import evaluate
from training.submission import check_file, write_submission
from unet_seg_ros.cityscapes import find_pairs
from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS
from unet_seg_ros.model.bundle import Manifest, load_bundle, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    config = UNetConfig(widths=(8, 8), depths=(1, 1))
    save_bundle(tmp_path / "tiny.safetensors", UNet(config), Manifest("tiny", config, max_pixels=1000))
    return Segmenter.load(load_bundle(tmp_path / "tiny.safetensors"), device="cpu")


def test_their_evaluation_finds_what_ours_does(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    output = tmp_path / "submission"
    assert write_submission(segmenter, town, "train", output) == 6
    labels = [str(pair.label) for pair in find_pairs(town, "train")]
    # Their defaults, less instance weights (``np.in1d`` is gone from NumPy 2.4) and the printing and writing.
    arguments = SimpleNamespace(
        **{
            **vars(theirs.args),
            "evalInstLevelScore": False,
            "JSONOutput": False,
            "quiet": True,
            "predictionPath": str(output),
            "predictionWalk": None,
        }
    )
    predictions = [theirs.getPrediction(arguments, label) for label in labels]
    result = theirs.evaluateImgLists(predictions, labels, arguments)
    ours = evaluate(segmenter, town, "train", GROUPINGS["cityscapes19"])
    np.testing.assert_array_equal(ours.matrix.iou(), [result["classScores"][name] for name in CLASS_NAMES])
    names = GROUPINGS["categories"].names
    np.testing.assert_array_equal(ours.categories.iou(), [result["categoryScores"][name] for name in names])
    assert ours.matrix.mean_iou() == pytest.approx(result["averageScoreClasses"], rel=1e-15)


def test_labels_are_not_needed(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    (town / "leftImg8bit" / "train").rename(town / "leftImg8bit" / "test")
    assert write_submission(segmenter, town, "test", tmp_path / "out") == 6
    ids = cv2.imread(str(tmp_path / "out" / "town_000000_000000.png"), cv2.IMREAD_UNCHANGED)
    assert (ids.shape, ids.dtype) == ((64, 80), np.uint8)


def test_a_folder_that_holds_something_is_refused(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="not empty; a submission needs a folder of its own"):
        write_submission(segmenter, town, "train", tmp_path)
    pair = find_pairs(town, "train")[0]
    pair.image.rename(pair.image.with_name("short_leftImg8bit.png"))
    with pytest.raises(ValueError, match="needs names of the form CITY_SEQ_FRAME, not short"):
        write_submission(segmenter, town, "train", tmp_path / "new")


def test_files_that_the_server_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for ids, message in (
        (np.full((4, 6), 7), r"\(4, 6\) pixels \(height, width\), its image has \(4, 5\)"),
        (np.full((4, 5), 9), r"holds label id 9 \(parking\), which is not evaluated"),
        (np.full((4, 5), 200), r"holds label id 200 \(no class\)"),
    ):
        assert cv2.imwrite(str(path), ids.astype(np.uint8))
        with pytest.raises(ValueError, match=message):
            check_file(path, (4, 5))
    assert cv2.imwrite(str(path), np.full((4, 5), 7, np.uint8))
    check_file(path, (4, 5))


def test_the_command(
    town: Path,
    segmenter: Segmenter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["submission", str(tmp_path / "tiny.safetensors"), str(town), str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match=r"splits under .*: train"):
        module.main()
    monkeypatch.setattr("sys.argv", [*arguments, "--split", "train"])
    module.main()
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'out'}: 6 files, checked")

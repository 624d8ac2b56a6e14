"""The files for the test server, evaluated by cityscapesScripts itself, and refused inputs."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as theirs  # type: ignore[import]
from PIL import Image

from training.evaluation.evaluation import evaluate
from training.submission import check_file, main, write_submission
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, LABELS, TRAIN_ID_TO_ID, VOID
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
    manifest = Manifest("tiny", CONFIG, max_pixels=2000, class_ids=tuple(ids))
    save_bundle(tmp_path / "tiny.safetensors", UNet(CONFIG), manifest)
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def segmenter(bundle: Path) -> Segmenter:
    return Segmenter.load(bundle, device="cpu")


def test_cityscapesscripts_finds_the_files_and_gives_the_same_figures(
    town: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    """cityscapesScripts searches and reads the files and computes the matrix.

    Its instance score, which does not affect the IoU, is switched off: it calls ``np.in1d``, which NumPy 2.4 lacks.
    """
    output = tmp_path / "results"
    assert write_submission(segmenter, town, "train", output) == 6
    labels = [str(pair.label) for pair in find_pairs(town, "train")]
    changed = {"evalInstLevelScore": False, "JSONOutput": False, "quiet": True}
    search = {"predictionPath": str(output), "predictionWalk": None}
    arguments = SimpleNamespace(**{**vars(theirs.args), **changed, **search})
    predictions = [theirs.getPrediction(arguments, label) for label in labels]
    assert len(set(predictions)) == 6
    result = theirs.evaluateImgLists(predictions, labels, arguments)
    ours = evaluate(segmenter, town, "train", GROUPINGS["cityscapes19"])
    np.testing.assert_array_equal(ours.score.confusion.iou(), [result["classScores"][name] for name in CLASS_NAMES])
    names = GROUPINGS["categories"].names
    np.testing.assert_array_equal(ours.categories.iou(), [result["categoryScores"][name] for name in names])
    assert ours.score.confusion.mean_iou() == pytest.approx(result["averageScoreClasses"], rel=1e-15)
    assert ours.categories.mean_iou() == pytest.approx(result["averageScoreCategories"], rel=1e-15)
    assert (np.nan_to_num(ours.score.confusion.iou()) > 0).sum() >= 2


def test_files_hold_label_ids_of_the_masks(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    """Images need no labels, and may differ in size."""
    shutil.rmtree(town / "gtFine")
    pairs = find_pairs(town, "train")
    assert cv2.imwrite(str(pairs[3].image), np.zeros((50, 33, 3), np.uint8))
    write_submission(segmenter, town, "train", tmp_path / "results")
    assert {path.name for path in (tmp_path / "results").iterdir()} == {f"{pair.name}.png" for pair in pairs}
    for pair in pairs:
        image = np.asarray(Image.open(pair.image).convert("RGB"))
        written = Image.open(tmp_path / "results" / f"{pair.name}.png")
        assert (written.mode, written.size) == ("L", (image.shape[1], image.shape[0]))
        train_ids = np.array([LABELS[i].train_id for i in range(34)])[np.asarray(written)]
        np.testing.assert_array_equal(train_ids, segmenter([image])[0].mask)


def test_a_folder_that_is_not_empty_is_refused_and_kept(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"results: the folder is not empty; give an empty or new one$"):
        write_submission(segmenter, town, "train", tmp_path / "results")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["town_0", "town_0_1_2", "town"])
def test_names_that_the_evaluation_cannot_read_are_refused(
    town: Path, segmenter: Segmenter, tmp_path: Path, name: str
) -> None:
    image = find_pairs(town, "train")[0].image
    image.rename(image.with_name(f"{name}_leftImg8bit.png"))
    with pytest.raises(ValueError, match=rf"names of the form CITY_SEQ_FRAME, not {name}$"):
        write_submission(segmenter, town, "train", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_names_that_begin_with_another_name_are_refused(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    image = find_pairs(town, "train")[0].image
    shutil.copy(image, image.with_name("town_000000_0000003_leftImg8bit.png"))
    with pytest.raises(ValueError, match=r"^town_000000_000000 and town_000000_0000003: .* cannot tell"):
        write_submission(segmenter, town, "train", tmp_path / "results")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((4, 5), 7, np.uint8), r"\(4, 5\) pixels \(height, width\), but its image has \(4, 6\)"),
        (np.full((4, 6), 0, np.uint8), r"holds label id 0 \(unlabeled\), which is not evaluated"),
        (np.full((4, 6), 9, np.uint8), r"holds label id 9 \(parking\)"),
        (np.full((4, 6), 255, np.uint8), r"holds label id 255 \(no class\)"),
        (np.full((4, 6, 3), 7, np.uint8), r"not an 8-bit single-channel image"),
    ],
)
def test_wrong_files_are_found(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    with pytest.raises(ValueError, match=rf"a\.png: {message}"):
        check_file(tmp_path / "a.png", (4, 6))


def test_every_evaluated_id_is_accepted(tmp_path: Path) -> None:
    ids = TRAIN_ID_TO_ID[:19][None]
    assert cv2.imwrite(str(tmp_path / "a.png"), ids)
    check_file(tmp_path / "a.png", (1, 19))


def test_bundles_of_other_classes_and_with_void_are_refused(town: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    names = ("something", *CLASS_NAMES[1:])
    plain = segmenter.manifest
    segmenter.manifest = dataclasses.replace(plain, class_names=names)
    with pytest.raises(ValueError, match=r"tiny-\w+: its classes are not Cityscapes' 19"):
        write_submission(segmenter, town, "train", tmp_path / "results")
    void = Segmenter(segmenter.engine, dataclasses.replace(plain, class_ids=(VOID,) * 19), segmenter.model_id)
    with pytest.raises(ValueError, match=r"label id 0 \(unlabeled\), which is not evaluated"):
        write_submission(void, town, "train", tmp_path / "results")


def test_the_command_writes_the_files_or_prints_one_line(
    town: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["submission", str(bundle), str(town), str(tmp_path / "out"), "--split", "train"])
    main()
    assert "6 files, checked" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["submission", str(bundle), str(town), str(tmp_path / "other")])
    with pytest.raises(SystemExit, match=r"^.*test: no images .*splits under .*: train$"):
        main()

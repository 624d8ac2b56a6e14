"""Pseudo labels from drives of each kind to samples of a run."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from training import prepare
from training.config import DataConfig, from_dict
from training.data.confidence_thresholds import Confidences, sure_labels
from training.data.dataset import Samples
from training.evaluation.test_time_augmentation import segment
from training.pseudo_label import LOOKS, Kept, main
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import LABELS
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


def bundle(folder: Path, max_pixels: int = 64 * 80, sharpness: float = 30.0) -> Path:
    """Random weights; a larger ``sharpness`` gives a higher confidence."""
    torch.manual_seed(1)
    unet = UNet(CONFIG)
    with torch.no_grad():
        for parameter in list(unet.parameters())[-2:]:
            parameter *= sharpness
    path = folder / f"tiny-{max_pixels}-{sharpness}.safetensors"
    save_bundle(path, unet, Manifest("tiny", CONFIG, max_pixels, data_terms="for tests alone"))
    return path


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["pseudo_label", *map(str, arguments)])
    main()


def busy(index: int) -> NDArray[np.uint8]:
    """Different frames of 64×48 pixels."""
    return np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def folder_of(path: Path, count: int) -> Path:
    for index in range(count):
        drives.write_image(path / f"{index:03}.png", busy(index))
    return path


def video_of(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for index in range(count):
        writer.write(busy(index)[..., ::-1].copy())
    writer.release()
    return path


def bag_of(path: Path, count: int, larger: int = 1) -> Path:
    frames = [busy(index).repeat(larger, 0).repeat(larger, 1) for index in range(count)]
    images = [drives.image_message(frame, "rgb8", drives.stamp(index), "front") for index, frame in enumerate(frames)]
    return drives.write_bag(path, {drives.FRONT: images}, StoragePlugin.MCAP)


@pytest.mark.parametrize("make", [folder_of, video_of, bag_of])
def test_a_drive_becomes_a_data_set_for_training(
    make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    drive, output = make(tmp_path / "My Drive_1.avi", 5), tmp_path / "out"
    command(monkeypatch, bundle(tmp_path), drive, output)
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{output}: 5 frames, ")
    pairs = find_pairs(output, "train")
    assert [pair.name for pair in pairs] == [f"pseudo-my-drive-1_000000_{number:06}" for number in range(5)]
    monkeypatch.setattr("sys.argv", ["prepare", str(output)])
    prepare.main()
    assert "train: cache written" in capsys.readouterr().out
    source = DataConfig("pseudo", str(output), "train", "cityscapes", "mine")
    assert source.weight == 1
    values = {"model": "nano", "data": [vars(source)], "steps": 3, "warmup": 1, "crop": [32, 64], "max_pixels": 5120}
    samples = Samples(from_dict({**values, "batch": 2}, "test"))
    labels = torch.stack([samples[number][1] for number in range(len(samples))])
    known = labels[labels != 255]
    assert len(known) > 0
    assert int(known.max()) < len(samples.sets.sets)


def test_labels_are_the_confident_pixels_of_averaged_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, model, output = folder_of(tmp_path / "drive", 4), bundle(tmp_path), tmp_path / "out"
    command(monkeypatch, model, drive, output, "--keep", 0.3)
    segmenter, confidences = Segmenter.load(model), Confidences()
    looks = [segment(segmenter, busy(index), LOOKS) for index in range(4)]
    for mask, confidence in looks:
        confidences.add(mask, confidence)
    thresholds = confidences.thresholds(0.3)
    evaluated = {0, *(label.id for label in LABELS if label.train_id != 255)}
    for pair, (mask, confidence) in zip(find_pairs(output, "train"), looks, strict=True):
        assert pair.label is not None
        labels = read_label(pair.label)
        np.testing.assert_array_equal(labels, sure_labels(mask, confidence, thresholds))
        assert set(np.unique(labels).tolist()) <= evaluated
    assert sum((read_label(p.label) == 0).sum() for p in find_pairs(output, "train") if p.label) > 0


def test_the_summary_says_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, output = folder_of(tmp_path / "drive", 3), tmp_path / "out"
    command(monkeypatch, bundle(tmp_path), drive, output)
    about = json.loads((output / "kept.json").read_text())
    assert (about["frames_labelled"], about["frames_kept"], about["problems"]) == (3, 3, [])
    assert about["data_terms"] == "for tests alone"
    assert about["drives"] == [str(drive)]
    assert sum(row["of_all"] for row in about["classes"].values()) == pytest.approx(1)
    labels = [read_label(pair.label) for pair in find_pairs(output, "train") if pair.label]
    assert about["pixels_kept"] == pytest.approx(np.mean([(label > 0).mean() for label in labels]))
    assert read_image(output / "kept.png").shape[1] == 1600
    assert {path.name for path in output.iterdir()} == {"leftImg8bit", "gtFine", "kept.json", "kept.png"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drive", "out", "tiny-5120-30.0.safetensors"]


def test_large_frames_are_written_at_the_working_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, output = folder_of(tmp_path / "drive", 2), tmp_path / "out"
    command(monkeypatch, bundle(tmp_path, max_pixels=32 * 24), drive, output)
    for pair in find_pairs(output, "train"):
        assert pair.label is not None
        assert read_image(pair.image).shape == (24, 32, 3)
        assert read_label(pair.label).shape == (24, 32)


def test_frames_come_from_several_drives_up_to_the_given_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = folder_of(tmp_path / "a" / "drive", 4), tmp_path / "b" / "drive"
    for index in range(4):
        drives.write_image(second / f"{index}.png", busy(10 + index))
    output = tmp_path / "out"
    command(monkeypatch, bundle(tmp_path), first, second, output, "--frames", 6)
    cities = [pair.image.parent.name for pair in find_pairs(output, "train")]
    assert len(cities) == 6
    assert set(cities) == {"pseudo-drive", "pseudo-drive-1"}


def test_each_camera_of_a_bag_has_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = {
        f"/{camera}/image_raw": [
            drives.image_message(busy(10 * at + index), "rgb8", drives.stamp(index), camera) for index in range(2)
        ]
        for at, camera in enumerate(("front", "rear"))
    }
    bag = drives.write_bag(tmp_path / "bag", topics, StoragePlugin.SQLITE3)
    command(monkeypatch, bundle(tmp_path), bag, tmp_path / "out")
    names = [pair.name for pair in find_pairs(tmp_path / "out", "train")]
    assert sorted(name.split("_")[0] for name in names) == ["pseudo-bag-front"] * 2 + ["pseudo-bag-rear"] * 2


def test_broken_frames_are_skipped_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drive, output = folder_of(tmp_path / "drive", 3), tmp_path / "out"
    broken = drive / "001.png"
    broken.write_bytes(broken.read_bytes()[:50])
    command(monkeypatch, bundle(tmp_path), drive, output)
    assert f"skipped: {broken}: " in capsys.readouterr().out
    assert [pair.name[-6:] for pair in find_pairs(output, "train")] == ["000000", "000002"]


def test_the_readable_part_of_a_damaged_bag_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = bag_of(tmp_path / "bag", 12, larger=5)  # the bag has several chunks, so that a part is left
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    command(monkeypatch, bundle(tmp_path), file, tmp_path / "out", "--frames", 3)
    assert "damaged" in capsys.readouterr().out
    assert len(find_pairs(tmp_path / "out", "train")) == 3


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file or folder"),
        ("empty", "no images"),
        ("text", "cannot be read as a video"),
        ("broken", "no frame can be decoded"),
    ],
)
def test_a_drive_without_frames_is_refused(
    kind: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = tmp_path / "drive"
    if kind == "empty":
        drive.mkdir()
    if kind == "text":
        drive.write_text("no video")
    if kind == "broken":
        folder_of(drive, 1)
        (drive / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SystemExit, match=says) as stopped:
        command(monkeypatch, bundle(tmp_path), drive, tmp_path / "out")
    assert str(drive) in str(stopped.value)
    assert not (tmp_path / "out").exists()


def test_a_model_of_low_confidence_gives_an_error_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = folder_of(tmp_path / "drive", 2)
    with pytest.raises(SystemExit, match="no frame has enough pixels above the threshold"):
        command(monkeypatch, bundle(tmp_path, sharpness=0.001), drive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


@pytest.mark.parametrize(
    ("option", "says"),
    [(("--frames", 0), "frames must be 1 to 5000, not 0"), (("--keep", 2), "share of a class's pixels to keep")],
)
def test_impossible_numbers_are_refused(
    option: tuple[object, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=says):
        command(monkeypatch, bundle(tmp_path), folder_of(tmp_path / "drive", 1), tmp_path / "out", *option)


def test_a_folder_that_is_not_empty_is_refused_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(SystemExit, match="the folder is not empty"):
        command(monkeypatch, bundle(tmp_path), folder_of(tmp_path / "drive", 1), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_the_output_may_be_a_link_to_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    command(monkeypatch, bundle(tmp_path), folder_of(tmp_path / "drive", 2), link)
    assert link.is_symlink()
    assert len(find_pairs(real, "train")) == 2
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "volume")
    with pytest.raises(SystemExit, match="volume: nothing can take the place of a mount point; name a new"):
        command(monkeypatch, bundle(tmp_path), tmp_path / "drive", tmp_path / "volume")


def test_shares_of_a_class_that_was_not_seen_are_none() -> None:
    nothing = np.zeros(19, np.int64)
    rows = Kept(0, nothing, nothing, np.full(19, 255, np.uint8)).classes()
    assert rows["bus"] == {"of_all": 0.0, "kept": None, "least_confidence": 1.0}

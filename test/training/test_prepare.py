"""All problems of a data set are listed before training."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training import prepare as module
from training.config import DataConfig
from training.data.dataset import frames_of, read_pair
from training.prepare import table, verify
from unet_seg_ros.data.cityscapes import find_pairs

ROOT = Path(__file__).parents[2]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["prepare", *arguments])
    module.main()


def test_a_good_folder_is_counted_and_cached(
    town: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, str(town))
    header, row, done = capsys.readouterr().out.splitlines()
    assert header.split() == ["split", "images", "labels", "cities", "size", "classes", "void", "problems"]
    void = 100 * 16 / (64 * 80)
    assert row.split() == ["train", "6", "6", "1", "80×64", "3", f"{void:.1f}", "%", "0"]
    assert done == "train: cache written"
    command(monkeypatch, str(town))
    assert capsys.readouterr().out.splitlines()[-1] == "train: cache is up to date"
    command(monkeypatch, str(town), "--verify-only", "--cache", str(town / "no"))
    assert not (town / "no").exists()


def test_each_bad_file_is_named(
    town: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = find_pairs(town, "train")
    labels = [pair.label for pair in pairs if pair.label]
    whole = pairs[0].image.read_bytes()
    pairs[0].image.write_bytes(whole[: len(whole) // 2])
    labels[1].write_bytes(labels[1].read_bytes()[:-12])
    assert cv2.imwrite(str(labels[2]), np.full((80, 64), 7, np.uint8))
    assert cv2.imwrite(str(labels[3]), np.full((64, 80), 77, np.uint8))
    assert cv2.imwrite(str(labels[4]), np.zeros((64, 80), np.uint8))
    labels[5].unlink()
    with pytest.raises(SystemExit) as stopped:
        command(monkeypatch, str(town))
    lines = str(stopped.value).splitlines()
    assert lines[0] == "6 problems:"
    expected = [
        f"{pairs[0].image}: PNG of 80×64 is cut short",
        f"{labels[1]}: ",
        f"{labels[2]}: 64×80 pixels, but its image has 80×64",
        f"{labels[3]}: unknown label ids (neither in Cityscapes nor in the class map): 77",
        f"{labels[4]}: every pixel is void, so there is nothing to train on",
        f"{pairs[5].image}: no label file",
    ]
    assert len(lines) == 7
    for line, start in zip(lines[1:], expected, strict=True):
        assert line.startswith(start)
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "6"
    assert not (town / "cache").exists()


def test_a_jpeg_that_is_cut_short_is_found(town: Path) -> None:
    pair = find_pairs(town, "train")[0]
    pixels = cv2.imread(str(pair.image))
    assert pixels is not None
    pair.image.unlink()
    jpeg = pair.image.with_suffix(".jpg")
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    jpeg.write_bytes(data)
    assert verify(town, "train", "gtFine").problems == []
    jpeg.write_bytes(data[: 2 * len(data) // 3])
    (problem,) = verify(town, "train", "gtFine").problems
    assert problem.startswith(f"{jpeg}: JPEG of 80×64 is cut short")


def test_the_real_cityscapes_is_recognised_by_its_cities(town: Path) -> None:
    for kind in ("leftImg8bit", "gtFine"):
        (town / kind / "train" / "town").rename(town / kind / "train" / "aachen")
    assert verify(town, "train", "gtFine").problems == ["train: 6 images, but Cityscapes has 2975"]


def test_the_test_split_needs_no_labels(town: Path) -> None:
    (town / "leftImg8bit" / "train").rename(town / "leftImg8bit" / "test")
    shutil.rmtree(town / "gtFine")
    found = verify(town, "test", "gtFine")
    assert found.problems == []
    assert table([found]).splitlines()[1].split()[:3] == ["test", "6", "0"]


def test_coarse_labels_are_read_from_their_folder(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = town / "gtFine" / "train" / "town"
    coarse = town / "gtCoarse" / "train" / "town"
    coarse.mkdir(parents=True)
    for path in fine.iterdir():
        shutil.copy(path, coarse / path.name.replace("gtFine", "gtCoarse"))
    shutil.rmtree(fine)
    command(monkeypatch, str(town), "--labels", "gtCoarse")
    assert (town / "cache" / "train.gtCoarse.bin").stat().st_size == 6 * 64 * 80 * 4
    assert len(verify(town, "train", "gtFine").problems) == 6


def test_a_label_without_an_image_is_found(town: Path) -> None:
    pair = find_pairs(town, "train")[2]
    pair.image.unlink()
    assert verify(town, "train", "gtFine").problems == [f"{pair.label}: no image for this label"]


def test_splits_without_labels_are_left_out_and_named(
    town: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like the 19,998 images of train_extra in the real Cityscapes, which have only coarse labels."""
    shutil.copytree(town / "leftImg8bit" / "train", town / "leftImg8bit" / "train_extra")
    command(monkeypatch, str(town))
    output = capsys.readouterr().out
    assert "left out, because they have no gtFine: train_extra\n" in output
    assert "train: cache written" in output


def test_a_data_set_without_labels_is_refused(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(town / "leftImg8bit" / "train", town / "leftImg8bit" / "test")
    shutil.rmtree(town / "gtFine")
    with pytest.raises(SystemExit, match="6 problems"):
        command(monkeypatch, str(town))


def test_ids_of_a_class_map_are_accepted(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = find_pairs(town, "train")[0].label
    assert label is not None
    pixels = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    pixels[10:20] = 200
    assert cv2.imwrite(str(label), pixels)
    with pytest.raises(SystemExit, match=r"unknown label ids \(neither in Cityscapes nor in the class map\): 200"):
        command(monkeypatch, str(town))
    class_map = tmp_path / "mine.yaml"
    class_map.write_text("7: [road]\n200: [road, sidewalk]\n")
    command(monkeypatch, str(town), "--class-map", str(class_map))
    assert (town / "cache" / "train.gtFine.json").exists()


def test_classes_and_void_are_counted_by_the_class_map(town: Path, tmp_path: Path) -> None:
    """Label ids 0 to 6 are void in Cityscapes and groups of classes in IDD."""
    for pair in find_pairs(town, "train"):
        assert pair.label is not None
        pixels = np.full((64, 80), 255, np.uint8)
        pixels[:32], pixels[48:] = 6, 0
        assert cv2.imwrite(str(pair.label), pixels)
    found = verify(town, "train", "gtFine", "idd7")
    assert found.problems == []
    assert found.row()[-3:] == ["2", "25.0 %", "0"]
    *void, ids = verify(town, "train", "gtFine").problems
    assert all("every pixel is void" in problem for problem in void)
    assert ids.startswith("train: the labels hold the ids 0, 6, 255, which look like train ids")
    other = tmp_path / "other.yaml"
    other.write_text("1: [road]\n")
    assert len(verify(town, "train", "gtFine", str(other)).problems) == 7


def test_train_ids_in_files_of_label_ids_are_refused(town: Path) -> None:
    """Road, sky and car are then 0, 10 and 13, and only the last two are also label ids: of other things."""
    for pair in find_pairs(town, "train"):
        assert pair.label is not None
        ids = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        trained = np.select([ids == 7, ids == 23, ids == 26], [0, 11, 13], 255).astype(np.uint8)
        assert cv2.imwrite(str(pair.label), trained)
    (problem,) = verify(town, "train", "gtFine").problems
    assert problem == (
        "train: the labels hold the ids 0, 11, 13, 255, which look like train ids: use files with label ids, or a "
        "class map of train ids; some are not in the class map cityscapes"
    )


def test_names_that_are_not_utf8_are_prepared_and_trained_on(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = find_pairs(town, "train")[0]
    assert pair.label is not None
    for path in (pair.image, pair.label):
        path.rename(path.with_name(path.name.replace("town_", os.fsdecode(b"town\xff_"))))
    command(monkeypatch, str(town))
    cached = frames_of(DataConfig("town", str(town), "train", "cityscapes", "free"))
    pairs = find_pairs(town, "train")
    odd = next(number for number, one in enumerate(pairs) if "\udcff" in one.name)
    np.testing.assert_array_equal(cached.read(odd).label, read_pair(pairs[odd]).label)


def test_two_commands_at_once_write_one_complete_cache(town: Path) -> None:
    """The second waits, and finds what the first wrote."""
    start = [sys.executable, "-m", "training.prepare", str(town)]
    started = [subprocess.Popen(start, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=120)[0].splitlines()[-1] for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert said[1] == "train: cache written"
    frames = frames_of(DataConfig("town", str(town), "train", "cityscapes", "free"))
    for number, pair in enumerate(find_pairs(town, "train")):
        np.testing.assert_array_equal(frames.read(number).image, read_pair(pair).image)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=f"^{tmp_path}: not in Cityscapes layout"):
        command(monkeypatch, str(tmp_path))
    (tmp_path / "leftImg8bit" / "train").mkdir(parents=True)
    with pytest.raises(SystemExit, match="no images named CITY/CITY_SEQ_FRAME"):
        command(monkeypatch, str(tmp_path), "--splits", "train")

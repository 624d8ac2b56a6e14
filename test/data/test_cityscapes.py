"""The Cityscapes folder layout, on folders made for each test."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from unet_seg_ros.data.cityscapes import Pair, find_pairs, image_path, label_path, splits
from unet_seg_ros.data.image_files import read_image, read_label


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_paths_follow_cityscapes() -> None:
    root = Path("root")
    name = "aachen_000001_000019"
    assert image_path(root, "train", "aachen", name) == Path(f"root/leftImg8bit/train/aachen/{name}_leftImg8bit.png")
    assert image_path(root, "train", "aachen", name, ".jpg").name == f"{name}_leftImg8bit.jpg"
    assert label_path(root, "train", "aachen", name) == Path(f"root/gtFine/train/aachen/{name}_gtFine_labelIds.png")


def test_pairs_are_ordered_by_city_and_time(tmp_path: Path) -> None:
    names = ["bonn_000000_000002", "aachen_000001_000001", "aachen_000000_000019", "aachen_000000_000003"]
    for name in names:
        city = name.split("_")[0]
        touch(image_path(tmp_path, "val", city, name))
        touch(label_path(tmp_path, "val", city, name))
    expected = [
        Pair(name, image_path(tmp_path, "val", city, name), label_path(tmp_path, "val", city, name))
        for name, city in ((name, name.split("_")[0]) for name in sorted(names))
    ]
    assert find_pairs(tmp_path, "val") == expected


def test_a_split_may_mix_jpg_and_png(tmp_path: Path) -> None:
    touch(image_path(tmp_path, "val", "a", "a_0_1", ".jpg"))
    touch(image_path(tmp_path, "val", "a", "a_0_2", ".png"))
    assert [pair.image.suffix for pair in find_pairs(tmp_path, "val")] == [".jpg", ".png"]


def test_a_missing_label_is_none(tmp_path: Path) -> None:
    touch(image_path(tmp_path, "val", "a", "a_0_1"))
    image = touch(image_path(tmp_path, "val", "a", "a_0_2"))
    label = touch(label_path(tmp_path, "val", "a", "a_0_2"))
    touch(label_path(tmp_path, "train", "a", "a_0_1"))  # of another split
    pairs = find_pairs(tmp_path, "val")
    assert [pair.label for pair in pairs] == [None, label]
    assert pairs[1] == Pair("a_0_2", image, label)


def test_other_files_are_ignored(tmp_path: Path) -> None:
    folder = touch(image_path(tmp_path, "val", "a", "a_0_1")).parent
    for name in ("README.md", "a_0_2_leftImg8bit.txt", "a_0_3_rightImg8bit.png", "a_0_4.png"):
        touch(folder / name)
    touch(folder.parent / "a_0_5_leftImg8bit.png")  # not in the folder of a city
    assert [pair.name for pair in find_pairs(tmp_path, "val")] == ["a_0_1"]


def test_an_empty_split_lists_the_splits_that_exist(tmp_path: Path) -> None:
    touch(image_path(tmp_path, "val", "a", "a_0_1"))
    (tmp_path / "leftImg8bit" / "train" / "a").mkdir(parents=True)
    for split in ("train", "test"):
        with pytest.raises(FileNotFoundError) as caught:
            find_pairs(tmp_path, split)
        text = str(caught.value)
        assert str(tmp_path / "leftImg8bit" / split) in text
        assert text.endswith(f"splits under {tmp_path}: train, val")
        assert "\n" not in text


def test_a_folder_of_another_layout_has_no_splits(tmp_path: Path) -> None:
    touch(tmp_path / "images" / "1.png")
    with pytest.raises(FileNotFoundError, match=r"no images named CITY/CITY_SEQ_FRAME_leftImg8bit\.png .*: none$"):
        find_pairs(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match=r"none$"):
        find_pairs(tmp_path / "nowhere", "val")


def test_splits_are_listed(tmp_path: Path) -> None:
    assert splits(tmp_path) == []
    touch(image_path(tmp_path, "val", "a", "a_0_1"))
    touch(image_path(tmp_path, "train", "a", "a_0_1"))
    touch(tmp_path / "leftImg8bit" / "license.txt")
    assert splits(tmp_path) == ["train", "val"]


def test_an_image_is_read_as_rgb_and_not_turned(tmp_path: Path) -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[..., 0] = 200
    assert cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert np.array_equal(read_image(tmp_path / "a.png"), picture)
    jpg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    # EXIF with one entry, orientation 6: viewers turn it by 90 degrees
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = tmp_path / "a.jpg"
    turned.write_bytes(jpg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpg[2:])
    seen = cv2.imread(str(turned))
    assert seen is not None
    assert seen.shape == (32, 16, 3)
    assert read_image(turned).shape == (16, 32, 3)


def test_label_ids_are_read_unchanged(tmp_path: Path) -> None:
    ids = np.array([[7, 0], [33, 255]], np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), ids)
    assert np.array_equal(read_label(tmp_path / "a.png"), ids)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_text("not an image")
    with pytest.raises(ValueError, match=r"x\.png: data of .* is neither a JPEG nor a PNG"):
        read_image(path)
    with pytest.raises(ValueError, match=r"missing\.png: not an 8-bit single-channel image"):
        read_label(tmp_path / "missing.png")
    for wrong in (np.zeros((64, 80, 3), np.uint8), np.zeros((64, 80), np.uint16)):
        assert cv2.imwrite(str(path), wrong)
        with pytest.raises(ValueError, match=r"x\.png: not an 8-bit single-channel image"):
            read_label(path)

"""Drives of every kind, and the errors of broken ones."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from training.prepare import verify
from unet_seg_ros.data.cityscapes import find_pairs, image_path, label_path
from unet_seg_ros.data.ros_images import stamp_ns, to_rgb
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag import camera_names
from unet_seg_ros.replay.source.drive import TYPES, Drive, message_pixels
from unet_seg_ros.replay.source.prefetch import prefetch
from unet_seg_ros.replay.source.video_and_folder import FIRST_STAMP_NS, open_source

STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])


def check_stamps(drive: Drive) -> None:
    for frame in drive.frames():
        assert stamp_ns(frame.message.header) == frame.stamp_ns
        TYPES.serialize_cdr(frame.message, drive.message_type)


def test_a_video_plays_at_its_own_rate(tmp_path: Path) -> None:
    drive = open_source(drives.write_video(tmp_path / "drive.avi", 4, 20.0))
    frames = list(drive.frames())
    assert drive.length == len(frames) == 4
    assert [frame.at_ns for frame in frames] == [0, 50_000_000, 100_000_000, 150_000_000]
    assert [frame.stamp_ns - FIRST_STAMP_NS for frame in frames] == [frame.at_ns for frame in frames]
    for index, frame in enumerate(frames):
        assert np.abs(message_pixels(frame.message).astype(int) - drives.picture(index)).mean() < 6
    check_stamps(drive)


def test_a_cityscapes_folder_gives_its_labels(tmp_path: Path) -> None:
    drives.write_cityscapes(tmp_path, "train", 2, 2)
    root = drives.write_cityscapes(tmp_path, "val", 3, 2)
    drive = open_source(root)
    frames = list(drive.frames())
    assert drive.length == len(frames) == 3
    assert [frame.label is not None for frame in frames] == [True, True, False]
    assert frames[1].label is not None
    assert "val" in frames[1].label.parts
    assert frames[1].label.name == "town_000000_000001_gtFine_labelIds.png"
    assert [frame.at_ns for frame in frames] == [0, 10**8, 2 * 10**8]
    assert np.array_equal(message_pixels(frames[2].message), drives.picture(2))
    check_stamps(drive)


def test_images_and_labels_without_a_partner_are_reported(tmp_path: Path) -> None:
    root = drives.write_cityscapes(tmp_path, "val", 3, 2)
    (stray,) = root.rglob("*000001_gtFine_labelIds.png")
    stray.rename(stray.with_name("town_000009_000000_gtFine_labelIds.png"))
    images, labels = open_source(root).problems
    assert images.endswith("town_000000_000001_leftImg8bit.png: 2 of 3 images have no label file, this is the first")
    assert labels.endswith("town_000009_000000_gtFine_labelIds.png: label files without an image: 1, this is the first")


def test_a_split_with_labels_is_played(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    drives.write_cityscapes(tmp_path, "test", 1, 1)
    drives.write_cityscapes(tmp_path, "extra", 1, 0)
    drive = open_source(drives.write_cityscapes(tmp_path, "train", 2, 2))
    assert all(frame.label and "train" in frame.label.parts for frame in drive.frames())
    assert caplog.messages == [f"{tmp_path}: of the splits extra, test, train, train is played"]


@pytest.mark.parametrize("layout", ["flat", "cityscapes"])
def test_pictures_of_other_formats_are_reported(layout: str, tmp_path: Path) -> None:
    town = tmp_path / "leftImg8bit" / "val" / "town"
    drives.write_cityscapes(tmp_path, "val", 1, 0)
    for name in ("a.webp", "b.TIF", "._c.webp", "notes.txt"):
        (town / name).touch()
    drive = open_source(town if layout == "flat" else tmp_path)
    assert drive.length == 1
    (problem,) = drive.problems
    assert problem.endswith("2 pictures of formats that are not read (.tif, .webp) are left out; convert them to PNG")


def test_the_only_split_is_played(tmp_path: Path) -> None:
    assert open_source(drives.write_cityscapes(tmp_path, "demo", 2, 0)).length == 2


def test_a_flat_folder_plays_by_name_and_rate(tmp_path: Path) -> None:
    for index in (2, 0, 1):
        drives.write_image(tmp_path / f"{index}.png", drives.picture(index))
    (tmp_path / "notes.txt").write_text("not an image")
    drive = open_source(tmp_path, rate=4.0)
    frames = list(drive.frames())
    assert [frame.at_ns for frame in frames] == [0, 250_000_000, 500_000_000]
    assert all(np.array_equal(message_pixels(f.message), drives.picture(i)) for i, f in enumerate(frames))
    assert all(frame.label is None for frame in frames)


def test_broken_links_and_pipes_become_frames_without_pixels(tmp_path: Path) -> None:
    """A data set of git-annex has such links before its files are fetched."""
    drives.write_image(tmp_path / "else.bmp", drives.picture(0))
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "0.png").symlink_to(tmp_path / "else.bmp")
    (folder / "1.png").symlink_to(tmp_path / "nothing.png")
    (folder / "2.png").symlink_to("2.png")
    os.mkfifo(folder / "3.png")
    (folder / "4.png").mkdir()
    (folder / "circle").symlink_to(folder)
    found = [(frame.name, frame.problem) for frame in open_source(folder).frames()]
    assert [name for name, _ in found] == ["0", "1", "2", "3"]
    assert [bool(problem) for _, problem in found] == [False, True, True, True]
    assert "1.png: not an image that can be read" in found[1][1]


def test_broken_links_in_cityscapes_layout_are_reported(tmp_path: Path) -> None:
    drives.write_cityscapes(tmp_path, "val", 3, 3)
    for file in (image_path(tmp_path, "val", "town", "town_000000_000001"),
                 label_path(tmp_path, "val", "town", "town_000000_000002")):  # fmt: skip
        file.unlink()
        file.symlink_to("/nothing.png")
    drive = open_source(tmp_path)
    assert [bool(frame.problem) for frame in drive.frames()] == [False, True, False]
    assert [pair.label is None for pair in find_pairs(tmp_path, "val")] == [False] * 3
    assert len(verify(tmp_path, "val", "gtFine").problems) == 2


def test_images_with_the_same_label_are_reported(tmp_path: Path) -> None:
    drives.write_cityscapes(tmp_path, "val", 2, 2)
    image = image_path(tmp_path, "val", "town", "town_000000_000000")
    shutil.copy(image, image.with_suffix(".PNG"))
    (problem,) = open_source(tmp_path).problems
    assert problem.endswith("2 images have the same label file as another image")
    assert problem in verify(tmp_path, "val", "gtFine").problems


@STORAGES
def test_the_suffix_of_a_bag_may_be_in_capitals(tmp_path: Path, storage: StoragePlugin) -> None:
    drives.write_bag(tmp_path / "bag", {drives.FRONT: [drives.raw(0), drives.raw(1)]}, storage)
    file = next(file for file in (tmp_path / "bag").iterdir() if file.suffix in (".mcap", ".db3"))
    loud = file.rename(tmp_path / file.name.upper())
    assert len(list(open_source(loud).frames())) == 2


def test_grey_cameras_of_16_bits_are_played(tmp_path: Path) -> None:
    grey = drives.raw(0, "mono16")
    grey.step, grey.data = 2 * grey.width, (drives.picture(0)[..., 0].astype("<u2") << 8).reshape(-1).view(np.uint8)
    bag = drives.write_bag(
        tmp_path / "bag", {"/grey/image": [grey], "/front/image": [drives.raw(0)]}, StoragePlugin.MCAP
    )
    drive = open_source(bag)
    assert set(drive.cameras) == {"grey", "front"}
    (frame,) = [frame for frame in drive.frames() if frame.camera == "grey"]
    assert np.array_equal(to_rgb(frame.message), drives.picture(0)[..., [0, 0, 0]])


@STORAGES
@pytest.mark.parametrize("as_file", [False, True])
def test_a_bag_of_two_cameras_is_played(
    tmp_path: Path, storage: StoragePlugin, as_file: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unet_seg_ros")
    topics = {
        "/front/image_raw": [drives.raw(i) for i in range(3)],
        "/left/image_raw": [drives.raw(i, "bgr8") for i in range(2)],
        "/left/depth": [drives.raw(i, "16UC1") for i in range(2)],
        "/segmentation/front/mask": [drives.raw(0)],
    }
    path = drives.write_bag(tmp_path / "bag", topics, storage)
    if as_file:
        path = next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    drive = open_source(path)
    assert drive.cameras == {"front": "/front/image_raw", "left": "/left/image_raw"}
    assert [r.getMessage() for r in caplog.records] == [f"{path}: depth images are not segmented: /left/depth"]
    assert (drive.transport, drive.length) == ("raw", 5)
    frames = list(drive.frames())
    assert [(frame.camera, frame.at_ns) for frame in frames] == [
        ("front", 0),
        ("left", 0),
        ("front", 10**8),
        ("left", 10**8),
        ("front", 2 * 10**8),
    ]
    assert frames[2].stamp_ns == drives.STAMP + 10**8
    assert frames[2].message.header.frame_id == "front_optical"
    assert np.array_equal(message_pixels(frames[4].message), drives.picture(2))
    check_stamps(drive)
    assert [frame.stamp_ns for frame in drive.frames()] == [frame.stamp_ns for frame in frames]  # the same camera again


@STORAGES
def test_a_compressed_bag_stays_compressed(tmp_path: Path, storage: StoragePlugin) -> None:
    topics = {"/front/image_raw/compressed": [drives.compressed(i) for i in range(2)]}
    drive = open_source(drives.write_bag(tmp_path / "bag", topics, storage))
    assert (drive.transport, drive.cameras) == ("compressed", {"front": "/front/image_raw"})
    assert drive.topic("front") == "/front/image_raw/compressed"
    frames = list(drive.frames())
    assert bytes(frames[1].message.data) == bytes(drives.compressed(1).data)
    assert np.array_equal(message_pixels(frames[1].message), drives.picture(1))
    check_stamps(drive)


def test_compressed_images_beside_raw_ones_are_decoded(tmp_path: Path) -> None:
    broken = drives.compressed(1)
    broken.data = broken.data[:50]
    topics = {
        "/front/image_raw": [drives.raw(0)],
        "/front/image_raw/compressed": [drives.compressed(0)],  # the same camera: left out
        "/left/image_raw/compressed": [drives.compressed(0), broken],
    }
    drive = open_source(drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP))
    assert (drive.transport, sorted(drive.cameras)) == ("raw", ["front", "left"])
    left = [frame for frame in drive.frames() if frame.camera == "left"]
    assert np.array_equal(message_pixels(left[0].message), drives.picture(0))
    assert (left[1].message.height, left[1].message.header.frame_id) == (0, "front_optical")
    check_stamps(drive)


def test_the_nodes_outputs_are_left_out(tmp_path: Path) -> None:
    own = ("/segmentation/front/mask", "/ego/segmentation/front/overlay", "segmentation/front/color")
    cameras = ("/front/color", "/rear/mask", "/segmentation/front/image")
    topics = {topic: [drives.raw(0)] for topic in (*own, *cameras)}
    topics["/segmentation/front/mask/compressed"] = [drives.compressed(0)]
    drive = open_source(drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP))
    assert sorted(drive.cameras.values()) == sorted(cameras)


def test_cameras_are_named_after_their_topics() -> None:
    assert camera_names(["/front/image_raw", "/left/image_color"]) == ["front", "left"]
    assert camera_names(["/image_raw"]) == ["camera"]
    assert camera_names(["/a/front/image", "/b/front/image"]) == ["a_front_image", "b_front_image"]
    assert camera_names(["/sensing/camera0/image_rect", "/2/image"]) == ["camera0", "camera_2"]


def no_images(folder: Path) -> Path:
    text = TYPES.types["std_msgs/msg/String"]("hello")
    return drives.write_bag(folder / "bag", {"/chatter": [text]}, StoragePlugin.MCAP)


def cut_short(folder: Path) -> Path:
    bag = drives.write_bag(folder / "bag", {"/front/image_raw": [drives.raw(0)]}, StoragePlugin.MCAP)
    file = folder / "cut.mcap"
    file.write_bytes((bag / "bag.mcap").read_bytes()[:3000])
    return file


def no_database(folder: Path) -> Path:
    file = folder / "drive.db3"
    file.write_bytes(b"not a database" * 100)
    return file


def no_video(folder: Path) -> Path:
    file = folder / "drive.mp4"
    file.write_bytes(b"not a video")
    return file


def several_files(folder: Path) -> Path:
    bag = drives.write_bag(folder / "bag", {"/front/image_raw": [drives.raw(0)]}, StoragePlugin.MCAP)
    (bag / "metadata.yaml").unlink()
    shutil.copy(bag / "bag.mcap", bag / "other.mcap")
    return bag


def empty(folder: Path) -> Path:
    return folder


def empty_split(folder: Path) -> Path:
    (folder / "leftImg8bit" / "val").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "missing.mcap", "no such file or folder"),
        (no_images, r"no camera images in this bag; its topics: /chatter \(std_msgs/msg/String\)"),
        (cut_short, "cannot be read as a bag: "),
        (no_database, "cannot be read as a bag: "),
        (no_video, "cannot be read as a video"),
        (several_files, "2 bag files but no metadata.yaml"),
        (empty, "no images; a folder must hold"),
        (empty_split, "no images named CITY/"),
    ],
)
def test_broken_sources_give_an_error_of_one_line(tmp_path: Path, make: Any, says: str) -> None:
    path = make(tmp_path)
    with pytest.raises(SourceError, match=says) as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_rate_is_refused_for_videos_and_bags(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it has its own rate"):
        open_source(drives.write_video(tmp_path / "drive.avi", 2, 20.0), rate=5.0)


def test_a_broken_image_becomes_a_frame_without_pixels(tmp_path: Path) -> None:
    drives.write_image(tmp_path / "0.png", drives.picture(0))
    (tmp_path / "1.png").write_bytes(b"not an image")
    good, broken = open_source(tmp_path).frames()
    assert (good.problem, good.message.height) == ("", drives.HEIGHT)
    assert (broken.problem, broken.message.height) == (
        f"{tmp_path}/1.png: data of 12 bytes is neither a JPEG nor a PNG",
        0,
    )


def test_reading_ahead_keeps_the_order_and_the_errors() -> None:
    def items() -> Any:
        yield from range(10)
        raise SourceError("broken")

    ahead = prefetch(items(), depth=2)
    assert [next(ahead) for _ in range(10)] == list(range(10))
    with pytest.raises(SourceError, match="broken"):
        next(ahead)


def test_each_image_that_asks_for_a_rotation_is_reported(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for name, options in (("1.jpg", {}), ("2.jpg", {"exif": exif}), ("3.png", {"exif": exif}), ("4.png", {})):
        Pillow.fromarray(drives.picture(0)).save(tmp_path / name, **options)
    notes = [frame.note for frame in open_source(tmp_path).frames()]
    assert [bool(note) for note in notes] == [False, True, True, False]
    assert notes[1] == (
        f"{tmp_path / '2.jpg'}: it asks for a rotation (by EXIF orientation 6), which is ignored, because camera "
        "messages are not rotated either"
    )

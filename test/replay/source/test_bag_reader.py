"""Complete and damaged bags: the messages that were written are read, or the part of them that is left."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zstandard
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from test.replay import drives
from unet_seg_ros.data.ros_images import stamp_ns
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag_reader import messages, topics
from unet_seg_ros.replay.source.drive import TYPES
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import IMAGE

FRONT = "/front/image_raw"
FRAMES = 12
SIZE = 600  # pixels of a side: more than a chunk of MCAP or a page of sqlite
NOISE = np.random.default_rng(1).integers(0, 256, 3 * SIZE**2, np.uint8)  # random pixels cannot be compressed
STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])


def images(count: int = FRAMES, start: int = 0) -> list[Any]:
    found = [drives.raw(index) for index in range(start, start + count)]
    for message in found:
        message.data = NOISE
        message.height = message.width = SIZE
        message.step = 3 * SIZE
    return found


def write(path: Path, storage: StoragePlugin, mode: CompressionMode = CompressionMode.NONE) -> Path:
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(FRONT, IMAGE, typestore=TYPES)
        for index, message in enumerate(images()):
            writer.write(connection, drives.STAMP + index * 10**8, TYPES.serialize_cdr(message, IMAGE))
    return path


def the_file(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.name != "metadata.yaml")


@STORAGES
@pytest.mark.parametrize("mode", list(CompressionMode))
def test_every_compression_is_read(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    if (storage, mode) == (StoragePlugin.SQLITE3, CompressionMode.STORAGE):
        pytest.skip("sqlite3 compresses nothing itself")
    assert drives.stamps(write(tmp_path / "bag", storage, mode)) == (list(range(FRAMES)), "")


@STORAGES
def test_split_bags_are_read_in_order(tmp_path: Path, storage: StoragePlugin) -> None:
    bag, rest = write(tmp_path / "bag", storage), tmp_path / "rest"
    drives.write_bag(rest, {FRONT: images(5, FRAMES)}, storage)
    second = bag / f"second{the_file(rest).suffix}"
    shutil.copy(the_file(rest), second)
    about = yaml.safe_load((bag / "metadata.yaml").read_text())
    inner = about["rosbag2_bagfile_information"]
    inner["relative_file_paths"].append(second.name)
    inner["message_count"] += 5
    inner["topics_with_message_count"][0]["message_count"] += 5
    (bag / "metadata.yaml").write_text(yaml.safe_dump(about))
    assert drives.stamps(bag) == (list(range(FRAMES + 5)), "")
    second.write_bytes(second.read_bytes()[: second.stat().st_size // 2])
    found, said = drives.stamps(bag)
    assert found[:FRAMES] == list(range(FRAMES))
    assert f"{bag}: damaged, " in said


@STORAGES
def test_files_of_a_damaged_bag_are_read_in_their_order(tmp_path: Path, storage: StoragePlugin) -> None:
    bag, count = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, storage), 12
    first = the_file(bag)
    files = [f"bag_{number}{first.suffix}" for number in range(count)]
    for number, name in enumerate(files):
        part = drives.write_bag(tmp_path / f"part{number}", {FRONT: images(3, 3 * number)}, storage)
        shutil.copy(the_file(part), bag / name)
    first.unlink()
    about = yaml.safe_load((bag / "metadata.yaml").read_text())
    inner = about["rosbag2_bagfile_information"]
    inner["relative_file_paths"] = files
    inner["message_count"] = inner["topics_with_message_count"][0]["message_count"] = 3 * count
    (bag / "metadata.yaml").write_text(yaml.safe_dump(about))
    assert drives.stamps(bag) == (list(range(3 * count)), "")
    last = bag / files[-1]
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    found, said = drives.stamps(bag)
    assert found[: 3 * count - 3] == list(range(3 * count - 3))
    assert found == sorted(set(found))
    assert f"{bag}: damaged, " in said


@STORAGES
def test_a_bag_that_is_cut_short_gives_the_frames_before(tmp_path: Path, storage: StoragePlugin) -> None:
    file = the_file(write(tmp_path / "bag", storage))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    for path in (file, tmp_path / "bag"):
        found, said = drives.stamps(path)
        assert 2 <= len(found) < FRAMES
        assert found == list(range(len(found)))
        assert said.startswith(f"{path}: damaged, {len(found)} messages could be read: ")
        assert "\n" not in said


@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.STORAGE])
def test_a_corrupt_chunk_loses_only_its_own_frames(tmp_path: Path, mode: CompressionMode) -> None:
    bag = write(tmp_path / "bag", StoragePlugin.MCAP, mode)
    file = the_file(bag)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3 * SIZE**2] = bytes(3 * SIZE**2)
    file.write_bytes(data)
    found, said = drives.stamps(bag)
    assert len(found) >= FRAMES - 3
    assert len(found) < FRAMES
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, FRAMES - 1)
    assert f"damaged, {len(found)} messages could be read" in said


def test_a_broken_page_loses_only_its_own_frames(tmp_path: Path) -> None:
    file = the_file(write(tmp_path / "bag", StoragePlugin.SQLITE3))
    base = sqlite3.connect(file)
    page = base.execute("PRAGMA page_size").fetchone()[0]
    (root,) = base.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    base.close()
    data = bytearray(file.read_bytes())
    # the first child of the table's root: an interior page lists its children after its 12 bytes of head
    start = (root - 1) * page
    assert data[start] == 5
    cell = int.from_bytes(data[start + 12 : start + 14], "big")
    child = int.from_bytes(data[start + cell : start + cell + 4], "big")
    data[(child - 1) * page] = 77
    file.write_bytes(data)
    found, said = drives.stamps(file)
    assert 0 < len(found) < FRAMES
    assert found[-1] == FRAMES - 1
    assert "damaged" in said


def test_a_compressed_file_that_is_cut_short_gives_the_frames_before(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", StoragePlugin.MCAP)
    whole = the_file(bag)
    packed = bag / f"{whole.name}.zstd"
    data = zstandard.ZstdCompressor().compress(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    packed.write_bytes(data)
    whole.unlink()
    found, said = drives.stamps(bag)
    assert 2 <= len(found) < FRAMES
    assert "damaged" in said


def test_a_broken_message_becomes_a_frame_without_pixels(tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(FRONT, IMAGE, typestore=TYPES)
        for index, message in enumerate(images(3)):
            cdr = bytes(TYPES.serialize_cdr(message, IMAGE))
            writer.write(connection, drives.STAMP + index, cdr[:30] if index == 1 else cdr)
    frames = list(open_source(tmp_path / "bag").frames())
    assert [frame.stamp_ns for frame in frames] == [drives.STAMP + index * 10**8 for index in range(3)]
    assert [frame.message.height for frame in frames] == [SIZE, 0, SIZE]
    assert all(stamp_ns(frame.message.header) == frame.stamp_ns for frame in frames)


def test_topics_have_their_types_and_counts(tmp_path: Path) -> None:
    text = TYPES.types["std_msgs/msg/String"]("hello")
    bag = drives.write_bag(tmp_path / "bag", {FRONT: images(2), "/chatter": [text]}, StoragePlugin.MCAP)
    found = topics(bag)
    assert {name: topic.count for name, topic in found.items()} == {FRONT: 2, "/chatter": 1}
    assert found[FRONT].encoding == "rgb8"
    assert not found["/chatter"].encoding
    assert [raw.topic for raw in messages(bag, ["/chatter"])] == ["/chatter"]
    assert list(messages(bag, ["/none"])) == []


def test_a_missing_topic_lists_the_topics(tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {FRONT: images(1)}, StoragePlugin.MCAP)
    says = rf"no topic /left/image in this bag; its topics: {FRONT} \({IMAGE} rgb8\)"
    for wanted in ({"topics": ["/left/image"]}, {"labels": ["/left/image"]}):
        with pytest.raises(SourceError, match=says):
            open_source(bag, **wanted)  # type: ignore[arg-type]


def test_only_the_chosen_topics_are_played(tmp_path: Path) -> None:
    given = {name: images(1) for name in (FRONT, "/left/image_raw", "/segmentation/front/mask")}
    bag = drives.write_bag(tmp_path / "bag", given, StoragePlugin.MCAP)
    assert open_source(bag, topics=["/left/image_raw"]).cameras == {"left": "/left/image_raw"}
    assert open_source(bag, topics=["/segmentation/front/mask"]).cameras == {"mask": "/segmentation/front/mask"}
    assert open_source(bag, labels=[FRONT]).cameras == {"left": "/left/image_raw"}


def test_too_many_cameras_must_be_chosen_from(tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {f"/c{i}/image": images(1) for i in range(65)}, StoragePlugin.MCAP)
    with pytest.raises(SourceError, match="65 cameras, 64 at most: choose with --topic"):
        open_source(bag)
    assert list(open_source(bag, topics=["/c1/image", "/c3/image"]).cameras) == ["c1", "c3"]


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_a_camera_without_messages_is_reported(
    storage: StoragePlugin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        for topic in (FRONT, "/rear/image_raw"):
            connection = writer.add_connection(topic, IMAGE, typestore=TYPES)
            if topic == FRONT:
                writer.write(connection, 1, TYPES.serialize_cdr(images(1)[0], IMAGE))
    assert list(open_source(tmp_path / "bag").cameras) == ["front"]
    assert caplog.messages == [f"{tmp_path / 'bag'}: no message was recorded of /rear/image_raw"]

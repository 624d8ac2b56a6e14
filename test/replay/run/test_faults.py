"""Faults of a drive are reported, lose only their own frames, and never change the drive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from test.replay import drives
from unet_seg_ros.engine import OutOfMemory
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.replay.__main__ import main
from unet_seg_ros.replay.errors import Problems, ReplayError
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.labels.matcher import Truth, with_labels
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.recorder import typestore
from unet_seg_ros.replay.result import Result
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.run.segmented_frames import segmented
from unet_seg_ros.replay.source.drive import TYPES
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import IMAGE
from unet_seg_ros.segmenter import Segmenter

ROOT = Path(__file__).parents[3]
FRONT, REAR = "/front/image_raw", "/rear/image_raw"


def replay(source: Path, output: Path, model: Path, **changes: Any) -> Result:
    return replay_one(source, output, Options(model=str(model), device="cpu", **changes), Gate())


def read(bag: Path, ending: str) -> list[Any]:
    with AnyReader([bag], default_typestore=typestore()) as reader:
        wanted = [connection for connection in reader.connections if connection.topic.endswith(ending)]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(wanted)]


def test_the_output_never_replaces_the_drive(tmp_path: Path, model: Path) -> None:
    """The recording of an earlier replay can be replayed, but not into its own folder."""
    folder = drives.write_bag(tmp_path / "drive", {FRONT: [drives.raw(0), drives.raw(1)]}, StoragePlugin.MCAP)
    file = folder / "drive.mcap"
    before = file.read_bytes()
    for source in (file, folder):
        with pytest.raises(ReplayError, match=r"drive\.mcap: this replay needs this file and would replace it"):
            replay(source, folder, model)
    assert main([str(file), str(file), "--output", str(folder), "--model", str(model)]) == 2
    assert file.read_bytes() == before
    replay(file, tmp_path / "out", model)
    again = replay(tmp_path / "out" / "drive.mcap", tmp_path / "again", model)
    assert again.report["frames"]["processed"] == 2


def test_files_of_a_killed_replay_are_removed(tmp_path: Path, model: Path) -> None:
    (tmp_path / "out" / ".recordingx1").mkdir(parents=True)
    bag = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, StoragePlugin.MCAP)
    replay(bag, tmp_path / "out", model)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_broken_picture_of_a_folder_drops_one_frame(tmp_path: Path, model: Path) -> None:
    for index in range(4):
        drives.write_image(tmp_path / "drive" / f"{index}.png", drives.picture(index))
    (tmp_path / "drive" / "1.png").write_bytes(b"not an image")
    report = replay(tmp_path / "drive", tmp_path / "out", model).report
    assert report["frames"] == {"sent": 4, "received": 4, "processed": 3, "dropped": {"malformed": 1}}
    (problem,) = report["problems"]
    assert problem.endswith("drive/1.png: data of 12 bytes is neither a JPEG nor a PNG")


def test_a_broken_picture_is_reported_in_a_live_replay(tmp_path: Path, model: Path) -> None:
    for index in range(3):
        drives.write_image(tmp_path / "drive" / f"{index}.png", drives.picture(index))
    (tmp_path / "drive" / "1.png").write_bytes(b"not an image")
    command = [sys.executable, "-m", "unet_seg_ros.replay", str(tmp_path / "drive"), "--mode", "live", "--rate", "1"]
    command += ["--output", str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 2, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    frames = report["frames"]  # on a busy machine a frame may also be replaced by the next one
    assert frames["dropped"]["malformed"] == 1
    assert frames["processed"] + sum(frames["dropped"].values()) == frames["sent"] == 3
    assert report["problems"][0].endswith("drive/1.png: data of 12 bytes is neither a JPEG nor a PNG")


def test_a_video_that_is_cut_short_is_reported(tmp_path: Path, model: Path) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 60, 10)
    assert replay(video, tmp_path / "out", model).report["problems"] == []
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    report = replay(video, tmp_path / "out", model).report
    processed = report["frames"]["processed"]
    assert 10 < processed < 50
    assert report["problems"] == [f"{video}: damaged, only {processed} of 60 frames could be read"]


def test_a_camera_of_unknown_encoding_is_reported_and_depth_is_not(tmp_path: Path, model: Path) -> None:
    topics = {
        FRONT: [drives.raw(0), drives.raw(1)],
        REAR: [drives.raw(0, "secret")],
        "/depth/image": [drives.raw(0, "16UC1")],
    }
    report = replay(drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP), tmp_path / "out", model).report
    assert report["frames"]["processed"] == 2
    (problem,) = report["problems"]
    assert problem.startswith(f"{REAR}: left out, because its encoding secret cannot be decoded; possible are ")
    del topics[FRONT]
    with pytest.raises(ReplayError, match=r"no camera images .*/rear/image_raw \(sensor_msgs/msg/Image secret\)"):
        replay(drives.write_bag(tmp_path / "rear", topics, StoragePlugin.MCAP), tmp_path / "out", model)


def test_malformed_frames_are_recorded_and_regions_are_measured(tmp_path: Path, model: Path) -> None:
    messages = [drives.raw(index) for index in range(3)]
    messages[1].data = messages[1].data[:100]
    bag = drives.write_bag(tmp_path / "bag", {FRONT: messages}, StoragePlugin.MCAP)
    half = Region("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    replay(bag, tmp_path / "out", model, regions=(half,))
    recorded = tmp_path / "out" / "drive.mcap"
    assert [len(message.data) for message in read(recorded, "image_raw")] == [len(m.data) for m in messages]
    coverage = read(recorded, "/coverage")
    masks = [np.asarray(m.data).reshape(drives.HEIGHT, drives.WIDTH) for m in read(recorded, "/mask")]
    assert len(coverage) == len(masks) == 2
    for message, mask in zip(coverage, masks, strict=True):
        assert [region.name for region in message.regions] == ["image", "left"]
        inside = mask[:, : drives.WIDTH // 2]
        expected = [np.mean(inside == index) for index in range(19)]
        assert message.regions[1].fraction.tolist() == pytest.approx(expected, abs=1e-6)


def test_if_the_second_model_lacks_memory_only_its_figures_are_missing(tmp_path: Path, model: Path) -> None:
    def other(images: Any) -> Any:
        raise OutOfMemory("out of memory")

    bag = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, StoragePlugin.MCAP)
    drive = open_source(bag)
    truth = Truth(LabelSource(), drive, Problems())
    (seen,) = segmented(drive, Segmenter.load(model, "cpu"), other, truth)  # type: ignore[arg-type]
    assert (seen.dropped, seen.why, seen.other) == ("", "out of memory", None)
    assert seen.segmentation is not None
    assert set(seen.stages) == {"decode", "preprocess", "forward", "postprocess"}


def label(index: int, stamp: int) -> Any:
    message = drives.raw(index)
    message.header.stamp.nanosec += stamp
    message.encoding, message.step, message.data = "mono8", drives.WIDTH, message.data[: len(message.data) // 3] % 34
    return message


def test_labels_that_match_no_frame_are_counted(tmp_path: Path, model: Path) -> None:
    """The label of a frame that cannot be decoded does not count as missing."""
    images = [drives.raw(index) for index in range(4)]
    images[3].encoding = "secret"
    for off, says in (
        ((0, 0, 0, 0), []),
        ((0, 7, 0, 0), ["/label: 1 of 4 labels match no frame: a label must have its frame's stamp"]),
        ((5, 6, 7, 8), ["/label: no label could be compared with a frame: a label must have its frame's stamp"]),
    ):
        topics = {FRONT: images, "/label": [label(index, stamp) for index, stamp in enumerate(off)]}
        bag = drives.write_bag(tmp_path / f"bag{len(says)}{off[0]}", topics, StoragePlugin.MCAP)
        report = replay(bag, tmp_path / "out", model, labels=LabelSource.parse(["/label"], False)).report
        assert report["problems"][1:] == says  # the first problem is that of the frame


def test_a_broken_label_drops_one_comparison(tmp_path: Path, model: Path) -> None:
    labels = [label(index, 0) for index in range(3)]
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {topic: writer.add_connection(topic, IMAGE, typestore=TYPES) for topic in (FRONT, "/label")}
        for index, truth in enumerate(labels):
            for topic, message in ((FRONT, drives.raw(index)), ("/label", truth)):
                cdr = TYPES.serialize_cdr(message, IMAGE)
                cdr = cdr[:100] if topic == "/label" and index == 1 else cdr
                writer.write(topics[topic], drives.STAMP + index * 10**8, cdr)
    report = replay(tmp_path / "bag", tmp_path / "out", model, labels=LabelSource.parse(["/label"], False)).report
    assert report["accuracy"] is not None
    assert (report["frames"]["processed"], report["accuracy"]["frames"]) == (3, 2)
    (problem,) = report["problems"]
    assert problem.startswith(f"/label: stamp {drives.STAMP + 10**8}: the message is damaged: ")


def test_labels_in_a_folder_belong_to_the_camera_in_their_name(tmp_path: Path, model: Path) -> None:
    topics = {topic: [drives.raw(index) for index in range(2)] for topic in (FRONT, REAR)}
    bag = drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP)
    labels = tmp_path / "labels"
    for number, camera in enumerate(("front", "rear"), 1):
        ids = np.full((drives.HEIGHT, drives.WIDTH), 7 * number, np.uint8)
        labels.mkdir(exist_ok=True)
        for index in range(2):
            assert cv2.imwrite(str(labels / f"{camera}_{drives.STAMP + index * 10**8}_labelIds.png"), ids)
        report = replay(bag, tmp_path / "out", model, labels=LabelSource(labels)).report
        assert report["problems"] == []
        assert report["accuracy"] is not None
        assert report["accuracy"]["frames"] == 2 * number
    truths = {frame.camera: frame.label for frame in with_labels(open_source(bag), LabelSource(labels)).frames()}
    assert {camera: path.name.split("_")[0] for camera, path in truths.items() if path} == dict(
        zip(*[("front", "rear")] * 2, strict=True)
    )


def test_two_label_topics_of_one_camera_are_refused(tmp_path: Path, model: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {t: [drives.raw(0)] for t in (FRONT, "/a", "/b")}, StoragePlugin.MCAP)
    with pytest.raises(ReplayError, match="labels: front has both /a and /b; give one"):
        replay(bag, tmp_path / "out", model, labels=LabelSource.parse(["/a", "/b"], False))


def test_label_ids_train_does_not_apply_to_a_drives_own_labels(tmp_path: Path, model: Path) -> None:
    town = drives.write_cityscapes(tmp_path / "town", "val", 2, 2)
    reports = [
        replay(town, tmp_path / "out", model, labels=LabelSource(train_ids=train_ids)).report
        for train_ids in (False, True)
    ]
    assert json.dumps(reports[0]["accuracy"]) == json.dumps(reports[1]["accuracy"])

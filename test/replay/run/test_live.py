"""Plays to a node that was started by somebody else, and compares the times with an independent receiver."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros.data.labels import CLASS_COLORS, palette
from unet_seg_ros.data.ros_images import stamp_ns, to_rgb
from unet_seg_ros.draw import overlay
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.replay.errors import NodeError
from unet_seg_ros.replay.live.frame_counts import counted
from unet_seg_ros.replay.live.latency import latency
from unet_seg_ros.replay.live.played_drive import Sent
from unet_seg_ros.replay.live.recording_reader import answers
from unet_seg_ros.replay.live.session import Live, play_to_other_node
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import TYPES, Drive, DriveFrame, image_message
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.ros.bringup import bringup

ROOT = Path(__file__).parents[3]
STAMP = drives.STAMP
FRAMES = 12
COLORS = CLASS_COLORS[::-1]
"""The model's own."""


@pytest.fixture(scope="module", autouse=True)
def domain() -> Iterator[None]:
    """A ROS domain that only the processes of this module use."""
    kept = dict(os.environ)
    os.environ.update(bringup({}, environ={}).environment)
    os.environ |= {"ROS_DOMAIN_ID": str(random.randint(1, 101)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    yield
    os.environ.clear()
    os.environ.update(kept)


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network so slow, at its own size, that the latency of a wrong frame would be found."""
    torch.manual_seed(1)
    network = UNet(UNetConfig(widths=(16, 16), depths=(1, 1), stem_stride=1))
    torch.nn.init.normal_(network.head.weight, std=3.0)
    path = tmp_path_factory.mktemp("model") / "slow.safetensors"
    save_bundle(path, network, Manifest("slow", network.config, 320 * 240, palette=COLORS))
    return path


@pytest.fixture(scope="module")
def node(model: Path) -> Iterator[None]:
    """Somebody else's: in a namespace, with a name of its own for the camera."""
    command = [sys.executable, "-m", "unet_seg_ros.ros.node", "--ros-args", "-r", "__ns:=/ego"]
    for setting in ("device:=cpu", f"model:={model}", "cameras:=['front']", "threads:=1"):
        command += ["-p", setting]
    command += ["-r", "~/front/image:=/camera/image_raw"]
    process = subprocess.Popen(command, cwd=ROOT, text=True)
    yield
    end(process)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """The frame rate, higher than the node can process."""
    picture = drives.picture(0, 240, 320)
    messages = [image_message(picture, "rgb8", STAMP + i * 10**8, "camera") for i in range(FRAMES)]
    path = tmp_path_factory.mktemp("bag") / "bag"
    return open_source(drives.write_bag(path, {"/camera/image_raw": messages}, StoragePlugin.MCAP))


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, node: None, drive: Drive
) -> tuple[Live, dict[str, dict[int, int]], Path]:
    """The drive played, when each message came to the receiver by kind and stamp, and the recording."""
    folder = tmp_path_factory.mktemp("live")
    command = [sys.executable, "-m", "test.replay.receiver", str(folder / "times")]
    receiver = subprocess.Popen(
        [*command, "/camera/image_raw", "/ego/segmentation/front/mask"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    try:
        assert receiver.stdout.readline() == "ready\n"
        live = play_to_other_node(drive, folder / "live.mcap", "ego/segmentation", 2.0)
    finally:
        end(receiver)
    times: dict[str, dict[int, int]] = {"image": {}, "mask": {}}
    for line in (folder / "times").read_text().splitlines():
        what, stamp, at = line.split()
        times[what][int(stamp)] = int(at)
    return live, times, folder / "live.mcap"


def answered(live: Live) -> list[Sent]:
    return [sent for sent in live.played.frames if latency(sent) is not None]


def test_an_independent_receiver_measures_the_same_latencies(
    played: tuple[Live, dict[str, dict[int, int]], Path],
) -> None:
    live, times, _ = played
    assert len(live.played.frames) == FRAMES
    assert not live.played.problem
    both = [sent for sent in answered(live) if sent.stamp_ns in times["image"] and sent.stamp_ns in times["mask"]]
    assert both
    assert {sent.stamp_ns for sent in answered(live)} >= set(times["mask"])
    for sent in both:
        assert sent.sent_ns < times["image"][sent.stamp_ns] < times["mask"][sent.stamp_ns]  # one clock for all
    ours = np.array([latency(sent) for sent in both])
    theirs = np.array([times["mask"][sent.stamp_ns] - times["image"][sent.stamp_ns] for sent in both]) / 1e9
    # The messages of the replay and of the receiver take other ways, but these are short compared with the network.
    assert abs(np.median(ours) - np.median(theirs)) < 0.5 * np.median(theirs)


def test_the_stages_and_the_transport_sum_to_the_latency(played: tuple[Live, dict[str, dict[int, int]], Path]) -> None:
    live, _, _ = played
    for sent in answered(live):
        assert sent.stages is not None
        assert sent.stages.keys() == {"decode", "preprocess", "forward", "postprocess", "wait", "publish"}
        in_the_node = sum(seconds for name, seconds in sent.stages.items() if name != "publish")
        assert 0 < in_the_node < (latency(sent) or 0)


def test_the_nodes_counts_cover_every_frame(played: tuple[Live, dict[str, dict[int, int]], Path]) -> None:
    live, _, _ = played
    counts = live.played.counts["camera"]
    assert counts.processed == len(answered(live))
    assert counts.received == counts.processed + sum(counts.dropped.values()) <= FRAMES


def test_the_recording_has_all_messages_and_overlays(
    played: tuple[Live, dict[str, dict[int, int]], Path], drive: Drive, tmp_path: Path
) -> None:
    live, _, bag = played
    with Recorder(tmp_path / "drive.mcap") as recorder:
        seen = list(answers(bag, drive, live.played, recorder))
    assert [answer.sent for answer in seen] == answered(live)
    with AnyReader([tmp_path / "drive.mcap"], default_typestore=TYPES) as reader:
        topics = {connection.topic: connection.msgcount for connection in reader.connections}
        messages = [(c.topic, time, reader.deserialize(raw, c.msgtype)) for c, time, raw in reader.messages()]
    outputs = ("mask", "confidence", "coverage", "health", "timing", "overlay")
    assert topics == {
        "/camera/image_raw": FRAMES,
        **{f"/ego/segmentation/front/{output}": len(seen) for output in outputs},
    }
    assert all(time == stamp_ns(message.header) for _, time, message in messages)
    drawn = [to_rgb(message) for topic, _, message in messages if topic.endswith("overlay")]
    expected = [overlay(answer.image, answer.mask, palette(COLORS)) for answer in seen]
    assert np.array_equal(drawn, expected)
    assert all(answer.image.shape == (240, 320, 3) and answer.mask.shape == (240, 320) for answer in seen)


def test_repeated_stamps_are_played_but_not_timed(node: None, tmp_path: Path) -> None:
    """Their masks cannot be matched to frames."""
    picture = drives.picture(0, 240, 320)
    stamps = [STAMP, STAMP, STAMP + 1, STAMP + 2]
    frames = [
        DriveFrame("camera", i * 10**9, stamp, image_message(picture, "rgb8", stamp, "camera"))
        for i, stamp in enumerate(stamps)
    ]
    drive = Drive(tmp_path, {"camera": "/camera/image_raw"}, "raw", 4, lambda: iter(frames))
    live = play_to_other_node(drive, tmp_path / "live.mcap", "/ego/segmentation", 1.0)
    assert not live.played.problem
    assert [sent.repeated for sent in live.played.frames] == [True, True, False, False]
    assert [latency(sent) is None for sent in live.played.frames] == [True, True, False, False]
    assert counted(live.played)["processed"] == live.played.counts["camera"].processed
    with Recorder(tmp_path / "drive.mcap") as recorder:
        seen = list(answers(tmp_path / "live.mcap", drive, live.played, recorder))
    assert [answer.sent.stamp_ns for answer in seen] == stamps[2:]


def test_a_node_with_other_topics_is_reported(node: None, tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {"/left/image_raw": [drives.raw(0)]}, StoragePlugin.MCAP)
    with pytest.raises(
        NodeError, match=r"^/ego/segmentation subscribes to /camera/image_raw, but the drive has /left/image_raw$"
    ):
        play_to_other_node(open_source(bag), tmp_path / "live.mcap", "/ego/segmentation", 1.0)
    assert not (tmp_path / "live.mcap").exists()


def test_a_missing_node_is_reported(node: None, drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unet_seg_ros.replay.live.node_status.FIND_SECONDS", 8.0)
    with pytest.raises(NodeError, match=r"no camera of the node /segmentation .*; found /ego/segmentation"):
        play_to_other_node(drive, tmp_path / "live.mcap", "/segmentation", 1.0)

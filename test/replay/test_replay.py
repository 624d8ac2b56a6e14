"""The command as people type it: a drive through the real node in its own process, and what is said when it can't."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.cityscapes import read_label
from unet_seg_ros.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.replay.drive import message_pixels, message_stamp
from unet_seg_ros.replay.sources import open_source
from unet_seg_ros.segmenter import Segmenter

LIMIT = 300
"""Seconds after which a replay that hangs is killed, with the node that it started."""
FRAMES = 20


def start(*arguments: object) -> subprocess.Popen[str]:
    """On the CPU, so that it is the same on every machine, unless ``arguments`` name another device."""
    command = [sys.executable, "-m", "unet_seg_ros.replay", "--device", "cpu", *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    process = start(*arguments)
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that it ends its node
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of a few milliseconds with some taste."""
    torch.manual_seed(1)
    network = UNet(UNetConfig(widths=(8, 8, 16), depths=(1, 1, 1)))
    torch.nn.init.normal_(network.head.weight, std=3.0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_bundle(path, network, Manifest("tiny", network.config, 160 * 120))
    return path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    assert len(list(write_drive(DriveConfig(width=160, height=120, fps=5, seconds=FRAMES / 5), root, "demo"))) == FRAMES
    return root


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, model: Path, town: Path) -> Path:
    folder = tmp_path_factory.mktemp("out") / "demo"
    (folder / "sub").mkdir(parents=True)
    (folder / "overlay_old.webm").write_text("of an earlier replay")
    done = replay(town, "--output", folder, "--model", model, "--rate", 5)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert str(folder) in last
    assert "sheet.png" in last
    assert (folder / "summary.txt").read_text() in done.stdout
    return folder


def read(bag: Path) -> dict[str, dict[int, Any]]:
    """Messages by topic and stamp."""
    found: dict[str, dict[int, Any]] = {}
    with AnyReader([bag]) as reader:
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            assert message_stamp(message) == time_ns
            found.setdefault(connection.topic, {})[time_ns] = message
    return found


def test_all_files_are_left(output: Path) -> None:
    names = {path.name for path in output.iterdir()}
    assert names == {
        *("drive.mcap", "overlay.webm", "sheet.png", "coverage.png", "coverage.csv"),
        *("summary.json", "summary.txt", "node.log", "sub"),
    }
    for name in ("sheet.png", "coverage.png"):
        assert cv2.imread(str(output / name)) is not None


def test_the_bag_holds_what_was_sent_and_what_came(output: Path, town: Path) -> None:
    messages = read(output / "drive.mcap")
    images = messages["/camera/image_raw"]
    frames = list(open_source(town, 5.0).frames())
    assert [frame.stamp_ns for frame in frames] == list(images)
    assert all(bytes(images[frame.stamp_ns].data) == bytes(frame.message.data) for frame in frames)
    masks = messages["/segmentation/camera/mask"]
    assert masks
    assert all((mask.encoding, mask.width, mask.height) == ("mono8", 160, 120) for mask in masks.values())
    assert all(mask.header.frame_id == "camera" for mask in masks.values())
    assert set(messages["/segmentation/camera/overlay"]) <= set(images)
    assert set(messages["/segmentation/camera/coverage"]) <= set(images)


def test_the_summary_adds_up(output: Path) -> None:
    summary = json.loads((output / "summary.json").read_text())
    camera = summary["cameras"]["camera"]
    masks = read(output / "drive.mcap")["/segmentation/camera/mask"]
    assert camera["sent"] == FRAMES
    assert camera["masks"] == len(masks)
    assert camera["dropped"] == FRAMES - len(masks) == sum(camera["dropped_why"].values())
    assert camera["rate"]["drive"] == pytest.approx(5.0)
    assert 0 < camera["latency"]["p50"] <= camera["latency"]["p95"] <= camera["latency"]["p99"]
    assert summary["model"].startswith("tiny-")
    assert summary["device"] == "cpu"


def test_masks_and_accuracy_are_the_segmenters_own(output: Path, model: Path, town: Path) -> None:
    masks = read(output / "drive.mcap")["/segmentation/camera/mask"]
    segmenter = Segmenter.load(model, "cpu")
    confusion = ConfusionMatrix(GROUPINGS["cityscapes19"])
    for frame in open_source(town, 5.0).frames():
        if frame.stamp_ns in masks:  # a machine that is busy may have dropped some
            seen = segmenter([message_pixels(frame.message)])[0].mask
            assert np.array_equal(seen.ravel(), masks[frame.stamp_ns].data)
            assert frame.label is not None
            confusion.update(ID_TO_TRAIN_ID[read_label(frame.label)], seen)
    accuracy = json.loads((output / "summary.json").read_text())["accuracy"]
    assert accuracy["frames"] == len(masks)
    assert accuracy["miou"] == confusion.mean_iou()
    assert accuracy["pixel_accuracy"] == confusion.pixel_accuracy()


def test_coverage_rows_are_those_of_the_bag(output: Path) -> None:
    messages = read(output / "drive.mcap")["/segmentation/camera/coverage"]
    with (output / "coverage.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["stamp_ns"]) for row in rows] == list(messages)
    for row, message in zip(rows, messages.values(), strict=True):
        shares = [float(row[name]) for name in CLASS_NAMES]
        assert shares == pytest.approx(message.regions[0].fraction.tolist())
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_a_compressed_bag_of_two_cameras_plays(tmp_path: Path, model: Path) -> None:
    topics = {f"/{name}/image_raw/compressed": [drives.compressed(i) for i in range(4)] for name in ("front", "left")}
    bag = drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP)
    done = replay(bag, "--output", tmp_path / "out", "--model", model)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {name: camera["sent"] for name, camera in summary["cameras"].items()} == {"front": 4, "left": 4}
    assert all(camera["masks"] for camera in summary["cameras"].values())
    assert summary["accuracy"] is None
    assert (tmp_path / "out" / "overlay_left.webm").is_file()


def test_a_missing_source_is_one_line(tmp_path: Path) -> None:
    done = replay(tmp_path / "drive.mcap", "--output", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"replay: {tmp_path / 'drive.mcap'}: no such file or folder\n"


def test_what_the_node_refuses_is_told(tmp_path: Path, town: Path) -> None:
    done = replay(town, "--output", tmp_path / "out", "--model", tmp_path / "missing.safetensors")
    assert done.returncode == 2
    assert "missing.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_is_none_is_told(tmp_path: Path, town: Path, model: Path) -> None:
    done = replay(town, "--output", tmp_path / "out", "--model", model, "--device", "abacus")
    assert done.returncode == 2
    assert "abacus" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_topic_that_is_none_is_one_line(tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {"/front/2/image": [drives.raw(0)]}, StoragePlugin.MCAP)
    done = replay(bag, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"replay: {bag}: cameras: '/front/2/image'")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the node in /proc")
@pytest.mark.parametrize(("number", "while_it"), [(signal.SIGHUP, "starts"), (signal.SIGTERM, "plays")])
def test_a_kill_ends_the_node_too(tmp_path: Path, town: Path, model: Path, number: int, while_it: str) -> None:
    """In the middle of a drive what was played is summed up."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the signal is ignored, as under nohup")
    process = start(town, "--output", tmp_path, "--model", model, "--rate", 1)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "starting the node\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    seen = ""
    while while_it == "plays" and f" 2/{FRAMES} " not in seen:
        character = process.stderr.read(1)
        assert character, seen
        seen += character
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    assert len(children) == 1
    assert not Path("/proc", children[0]).exists()
    assert "Traceback" not in err
    if while_it == "starts":
        # As a shell has it: Python itself dies of SIGINT (-2) where the interrupt fell into an exec(), though caught.
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        assert status == 130
    else:
        assert process.returncode == 0
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert 1 <= summary["cameras"]["camera"]["sent"] < FRAMES


def test_help_needs_no_ros(tmp_path: Path) -> None:
    """Nor does the line that says what is missing."""
    (tmp_path / "rclpy.py").write_text("raise ImportError('there is no rclpy')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for arguments, status, says in ((["--help"], 0, "SOURCE"), (["x", "--output", "y"], 2, "Source a ROS 2 workspace")):
        done = subprocess.run(
            [sys.executable, "-m", "unet_seg_ros.replay", *arguments],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert done.returncode == status
        assert says in done.stdout + done.stderr
        assert "Traceback" not in done.stderr

"""The command as people type it: a drive is played to the real node in its own process, and errors are reported."""

from __future__ import annotations

import csv
import functools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros import draw
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_label
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, palette
from unet_seg_ros.data.ros_images import stamp_ns, to_rgb
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.replay.source.drive import Drive, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.share_folder import share_folder

ROOT = Path(__file__).parents[2]
LIMIT = 300
"""Seconds after which a replay that hangs is killed, with the node that it started."""
FRAMES = 20


def start(*arguments: object, room: int = resource.RLIM_INFINITY) -> subprocess.Popen[str]:
    """On the CPU, so that it is the same on every machine, unless ``arguments`` name another device. No file may become
    larger than ``room`` bytes, as if the disk were full."""
    command = [sys.executable, "-m", "unet_seg_ros.replay", "--mode", "live", "--device", "cpu", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)),
    )


def replay(*arguments: object, room: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, room=room)
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that the replay ends its node
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


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
    done = replay(town, "--output", folder, "--model", model, "--rate", 5, "--require", "streaming_miou>=0")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert str(folder) in last
    assert "report.html" in last
    return folder


def read(bag: Path) -> dict[str, dict[int, Any]]:
    """Messages by topic and stamp."""
    found: dict[str, dict[int, Any]] = {}
    with AnyReader([bag]) as reader:
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            assert stamp_ns(message.header) == time_ns
            found.setdefault(connection.topic, {})[time_ns] = message
    return found


def table(output: Path) -> list[dict[str, str]]:
    with (output / "frames.csv").open() as file:
        return list(csv.DictReader(file))


def report(output: Path) -> dict[str, Any]:
    return dict(json.loads((output / "report.json").read_text()))


def test_all_files_are_written(output: Path) -> None:
    names = {path.name for path in output.iterdir()}
    assert names == {"drive.mcap", "overlay.webm", "report.html", "report.json", "frames.csv", "node.log", "sub"}
    assert (output / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_the_recording_holds_the_sent_and_the_received_messages(output: Path, town: Path) -> None:
    messages = read(output / "drive.mcap")
    images = messages["/camera/image_raw"]
    frames = list(open_source(town, 5.0).frames())
    assert [frame.stamp_ns for frame in frames] == list(images)
    assert all(bytes(images[frame.stamp_ns].data) == bytes(frame.message.data) for frame in frames)
    masks = messages["/segmentation/camera/mask"]
    assert masks
    assert all((mask.encoding, mask.width, mask.height) == ("mono8", 160, 120) for mask in masks.values())
    assert all(mask.header.frame_id == "camera" for mask in masks.values())
    for output_name in ("confidence", "coverage", "overlay"):
        assert messages[f"/segmentation/camera/{output_name}"].keys() == masks.keys()
    for stamp, overlay in messages["/segmentation/camera/overlay"].items():
        image, mask = to_rgb(images[stamp]), masks[stamp].data.reshape(120, 160)
        assert np.array_equal(to_rgb(overlay), draw.overlay(image, mask, palette()))


def test_the_node_uses_the_drives_clock(output: Path) -> None:
    """Otherwise the age of the frames would be years."""
    coverage = read(output / "drive.mcap")["/segmentation/camera/coverage"]
    assert all(abs(message.age) < 3600 for message in coverage.values())


def test_the_report_adds_up(output: Path) -> None:
    found, rows = report(output), table(output)
    frames = found["frames"]
    assert frames["sent"] == len(rows) == FRAMES
    assert frames["processed"] == len(read(output / "drive.mcap")["/segmentation/camera/mask"])
    assert frames["sent"] - frames["processed"] == sum(frames["dropped"].values())
    latencies = [float(row["latency"]) for row in rows if row["latency"]]
    assert found["timing"]["latency"]["p95"] == pytest.approx(np.percentile(latencies, 95))
    for row in rows:
        if row["latency"]:
            parts = [
                float(row[name]) for name in ("transport", "wait", "decode", "preprocess", "forward", "postprocess")
            ]
            assert sum(parts) == pytest.approx(float(row["latency"]))
            assert min(parts[0], *parts[2:]) > 0
    assert 0 <= found["timing"]["streaming_miou"] <= 1
    assert found["made_by"]["model"]["id"].startswith("tiny-")
    assert found["made_by"]["node"]["device"] == "cpu"
    assert not found["problems"]
    used = found["resources"]
    assert len(used["at"]) == len(used["cpu"]) == len(used["memory"]) > 0
    assert used["at"] == sorted(used["at"])
    assert all(memory > 2**20 for memory in used["memory"])


def test_the_table_holds_the_health_that_the_node_published(output: Path) -> None:
    health, rows = read(output / "drive.mcap")["/segmentation/camera/health"], table(output)
    assert health
    assert {int(row["stamp_ns"]) for row in rows if row["trust"]} == health.keys()
    for row in rows:
        if row["trust"]:
            message = health[int(row["stamp_ns"])]
            assert float(row["trust"]) == pytest.approx(message.trust)
            assert (row["flags"], row["reason"]) == (" ".join(message.flags), message.reason)
    trust = report(output)["trust"]
    assert trust["p50"] == pytest.approx(np.median([message.trust for message in health.values()]))
    assert sum(trust["causes"].values()) == sum(len(message.flags) for message in health.values())


def compare(output: Path, drive: Drive, labels: dict[int, Path], model: Path, grouping: str) -> None:
    """Masks and confusion matrix equal, to the last pixel, those of the same frames without DDS."""
    masks = read(output / "drive.mcap")[f"/segmentation/{next(iter(drive.cameras))}/mask"]
    segmenter = Segmenter.load(model, "cpu")
    confusion = ConfusionMatrix(GROUPINGS[grouping])
    for frame in drive.frames():
        if frame.stamp_ns in masks:  # a busy machine may have dropped some frames
            seen = segmenter([message_pixels(frame.message)])[0].mask
            assert np.array_equal(seen.ravel(), masks[frame.stamp_ns].data)
            confusion.update(ID_TO_TRAIN_ID[read_label(labels[frame.stamp_ns])], seen)
    accuracy = report(output)["accuracy"]
    assert accuracy["frames"] == len(masks)
    assert accuracy["confusion"] == confusion.matrix.tolist()
    assert accuracy["miou"] == confusion.mean_iou()
    assert accuracy["pixel_accuracy"] == confusion.pixel_accuracy()


def test_the_report_follows_the_schema(output: Path) -> None:
    jsonschema.validate(report(output), json.loads((ROOT / "docs" / "report.schema.json").read_text()))


def test_masks_and_accuracy_equal_the_segmenters(output: Path, model: Path, town: Path) -> None:
    drive = open_source(town, 5.0)
    labels = {frame.stamp_ns: frame.label for frame in drive.frames() if frame.label}
    compare(output, drive, labels, model, "cityscapes19")


@pytest.mark.skipif("UNET_SEG_DATA" not in os.environ, reason="UNET_SEG_DATA names no folder with camvid/")
def test_a_real_drive_has_the_same_accuracy_as_without_dds(tmp_path: Path) -> None:
    camvid, model = Path(os.environ["UNET_SEG_DATA"]) / "camvid", share_folder() / "models" / "unet_nano.safetensors"
    bag = drives.as_bag(tmp_path / "bag", camvid, "val", StoragePlugin.MCAP)
    done = replay(bag, "--output", tmp_path, "--model", model, "--labels", drives.LABELS, "--grouping", "camvid11")
    assert done.returncode == 0, done.stderr
    assert report(tmp_path)["frames"]["sent"] == 101
    labels = {drives.stamp(index): pair.label for index, pair in enumerate(find_pairs(camvid, "val")) if pair.label}
    compare(tmp_path, open_source(bag, labels=[drives.LABELS]), labels, model, "camvid11")


def test_rows_hold_the_coverage_that_was_recorded(output: Path) -> None:
    messages = read(output / "drive.mcap")["/segmentation/camera/coverage"]
    rows = [row for row in table(output) if row["status"] == "processed"]
    assert [int(row["stamp_ns"]) for row in rows] == list(messages)
    for row, message in zip(rows, messages.values(), strict=True):
        shares = [float(row[f"coverage.{name}"]) for name in CLASS_NAMES]
        assert shares == pytest.approx(message.regions[0].fraction.tolist())
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_a_compressed_bag_of_two_cameras_is_played(tmp_path: Path, model: Path) -> None:
    topics = {f"/{name}/image_raw/compressed": [drives.compressed(i) for i in range(4)] for name in ("front", "left")}
    bag = drives.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP)
    done = replay(bag, "--output", tmp_path / "out", "--model", model)
    assert done.returncode == 0, done.stderr
    found = report(tmp_path / "out")
    assert found["frames"]["sent"] == 8
    assert {row["camera"] for row in table(tmp_path / "out") if row["latency"]} == {"front", "left"}
    assert found["accuracy"] is None
    assert (tmp_path / "out" / "overlay_left.webm").is_file()


def test_a_missing_source_gives_an_error_of_one_line(tmp_path: Path) -> None:
    done = replay(tmp_path / "drive.mcap", "--output", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"replay: {tmp_path / 'drive.mcap'}: no such file or folder\n"


def test_an_error_of_the_node_is_reported(tmp_path: Path, town: Path) -> None:
    done = replay(town, "--output", tmp_path / "out", "--model", tmp_path / "missing.safetensors")
    assert done.returncode == 2
    assert "missing.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_device_is_reported(tmp_path: Path, town: Path, model: Path) -> None:
    done = replay(town, "--output", tmp_path / "out", "--model", model, "--device", "abacus")
    assert done.returncode == 2
    assert "abacus" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_topic_gives_an_error_of_one_line(tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {"/front/2/image": [drives.raw(0)]}, StoragePlugin.MCAP)
    done = replay(bag, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"replay: {bag}: cameras: '/front/2/image'")
    assert done.stderr.count("\n") == 1


def seen_on(stream: Any, text: str) -> None:
    """Reads the log until the text appears."""
    seen = ""
    while text not in seen:
        character = stream.read(1)
        assert character, seen
        seen += character


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the node in /proc")
@pytest.mark.parametrize(("number", "while_it"), [(signal.SIGHUP, "starts"), (signal.SIGTERM, "plays")])
def test_killing_the_replay_ends_the_node(tmp_path: Path, town: Path, model: Path, number: int, while_it: str) -> None:
    """If the node dies in the middle of a drive, the played part is reported."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the signal is ignored, as under nohup")
    process = start(town, "--output", tmp_path, "--model", model, "--rate", 1)
    seen_on(process.stderr, "starting the node\n")
    nodes = children(process)
    if while_it == "plays":
        seen_on(process.stderr, f" 2/{FRAMES} ")
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    assert len(nodes) == 1
    assert not Path("/proc", str(nodes[0])).exists()
    assert "Traceback" not in err
    # As a shell has it: Python itself dies of SIGINT (-2) where the interrupt fell into an exec(), though caught.
    assert (process.returncode if process.returncode >= 0 else 128 - process.returncode) == 130
    if while_it == "plays":
        found = report(tmp_path)
        assert 1 <= found["frames"]["sent"] < FRAMES
        assert found["problems"] == ["interrupted"]
        assert (tmp_path / "report.html").is_file()


SIGNAL_WHILE_IT_WAITS = """
import os, signal, sys
from unet_seg_ros.replay.__main__ import main
from unet_seg_ros.replay.live.player import Player
spin = Player._spin_on
def late(player):
    os.kill(os.getpid(), signal.SIGTERM)
    spin(player)
Player._spin_on = late
sys.exit(main())
"""


def test_a_signal_while_the_last_masks_are_awaited_loses_nothing(tmp_path: Path, town: Path, model: Path) -> None:
    options = ["--mode", "live", "--device", "cpu", "--rate", "10", "--output", str(tmp_path), "--model", str(model)]
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_WHILE_IT_WAITS, str(town), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert report(tmp_path)["frames"]["sent"] == FRAMES
    assert report(tmp_path)["problems"] == ["interrupted"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the node in /proc")
def test_if_the_node_dies_a_report_is_written(tmp_path: Path, town: Path, model: Path) -> None:
    process = start(town, "--output", tmp_path, "--model", model, "--rate", 2)
    seen_on(process.stderr, "starting the node\n")
    (node,) = children(process)
    seen_on(process.stderr, f" 4/{FRAMES} ")
    os.kill(node, signal.SIGKILL)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 2
    assert "Traceback" not in err
    assert "stopped after" in err
    found = report(tmp_path)
    assert 1 <= found["frames"]["processed"] <= found["frames"]["sent"] < FRAMES
    assert found["problems"] == ["the node ended with status -9"]
    assert found["accuracy"]["frames"] == found["frames"]["processed"]


def test_without_space_for_the_recording_the_report_is_written(tmp_path: Path, town: Path, model: Path) -> None:
    """On a full disk, the report has the figures that need no recording and names what is missing."""
    done = replay(town, "--output", tmp_path, "--model", model, "--rate", 5, room=2**19)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    found = report(tmp_path)
    assert found["timing"]["latency"]
    assert found["accuracy"] is None
    assert [problem.split(": ", 1)[1] for problem in found["problems"]] == ["not recorded: File too large"]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".mcap" or path.name.startswith(".")]


def test_without_space_for_the_report_one_line_says_why(tmp_path: Path, town: Path, model: Path) -> None:
    done = replay(town, "--output", tmp_path, "--model", model, "--rate", 5, room=2**12)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("replay: ")
    assert "File too large" in done.stderr.splitlines()[-1]


def test_help_needs_no_ros(tmp_path: Path) -> None:
    """The one line is printed although no file can be written."""
    (tmp_path / "rclpy.py").write_text("raise ImportError('there is no rclpy')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for arguments, status, says in (
        (["--help"], 0, "SOURCE"),
        (["x", "--mode", "live", "--output", str(tmp_path / "y")], 2, "source a ROS 2 workspace"),
    ):
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

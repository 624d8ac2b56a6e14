"""The offline replay compared with the Segmenter, and faulty drives."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from test.replay.drives import FRONT, LABELS, as_bag, stamp
from test.replay.models import write_model
from training.evaluate import evaluate
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, VOID, palette
from unet_seg_ros.data.ros_images import to_rgb
from unet_seg_ros.draw import overlay
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.model.bundle import load_bundle, save_bundle
from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.judge.verdict import Gate, exit_status
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.result import Result, Table
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.source.video_and_folder import CAMERA
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.share_folder import share_folder

ROOT = Path(__file__).parents[3]
FRAMES = 12
TIMES = ("work", "decode", "preprocess", "forward", "postprocess")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    config = DriveConfig(width=160, height=120, fps=5, seconds=FRAMES / 5)
    assert len(list(write_drive(config, root, "demo"))) == FRAMES
    return root


def replay(source: Path, output: Path, model: Path, **changes: Any) -> Result:
    return replay_one(source, output, Options(model=str(model), device="cpu", **changes), Gate())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "unet_seg_ros.replay", "--device", "cpu", *map(str, arguments)]


def masks(bag: Path) -> dict[int, bytes]:
    with AnyReader([bag]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic.endswith("/mask")]
        found = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(wanted)]
    return {m.header.stamp.sec * 10**9 + m.header.stamp.nanosec: bytes(m.data) for m in found}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, town: Path, model: Path) -> tuple[Result, Path]:
    output = tmp_path_factory.mktemp("out")
    return replay(town, output, model, regions=(Region("road", ((0, 0.5), (1, 0.5), (1, 1))),)), output


def test_masks_and_accuracy_equal_the_segmenters(done: tuple[Result, Path], model: Path, town: Path) -> None:
    result, output = done
    segmenter, confusion = Segmenter.load(model, "cpu"), ConfusionMatrix(GROUPINGS["cityscapes19"])
    recorded = list(masks(output / "drive.mcap").values())
    for pair, mask in zip(find_pairs(town, "demo"), recorded, strict=True):
        assert pair.label is not None
        seen = segmenter([read_image(pair.image)])[0].mask
        assert seen.tobytes() == mask
        confusion.update(ID_TO_TRAIN_ID[read_label(pair.label)], seen)
    accuracy = result.report["accuracy"]
    assert accuracy is not None
    assert accuracy["confusion"] == confusion.matrix.tolist()
    assert accuracy["miou"] == confusion.mean_iou()
    assert accuracy["frames"] == FRAMES
    assert accuracy["regions"]["road"]["miou"] not in (None, accuracy["miou"])


def test_the_colours_are_those_of_the_model(tmp_path: Path, town: Path, model: Path) -> None:
    bundle, other = load_bundle(model), tmp_path / "other.safetensors"
    save_bundle(other, bundle.build(), replace(bundle.manifest, palette=CLASS_COLORS[::-1]))
    result = replay(town, tmp_path / "out", other)
    assert np.array_equal(result.palette, palette(CLASS_COLORS[::-1]))
    with AnyReader([tmp_path / "out" / "drive.mcap"]) as reader:
        last: dict[str, Any] = {}
        for connection, _, raw in reader.messages():
            last[connection.topic.split("/")[-1]] = reader.deserialize(raw, connection.msgtype)
    image = read_image(find_pairs(town, "demo")[-1].image)
    mask, drawn = (to_rgb(last[name]) for name in ("mask", "overlay"))
    assert np.array_equal(drawn, overlay(image, mask[..., 0], palette(CLASS_COLORS[::-1])))


def test_all_files_are_written_and_the_report_follows_the_schema(done: tuple[Result, Path]) -> None:
    result, output = done
    names = {path.name for path in output.iterdir()}
    assert names == {"drive.mcap", "overlay.webm", "report.html", "report.json", "frames.csv"}
    report = json.loads((output / "report.json").read_text())
    jsonschema.validate(report, json.loads((ROOT / "docs" / "report.schema.json").read_text()))
    assert report == result.report
    assert report["frames"] == {"sent": FRAMES, "received": FRAMES, "processed": FRAMES, "dropped": {}}
    assert len(report["made_by"]["bag"]["sha256"]) == len(report["made_by"]["model"]["sha256"]) == 64
    assert exit_status(result) == 0


def test_the_table_adds_up(done: tuple[Result, Path]) -> None:
    result, output = done
    frames = pd.read_csv(output / "frames.csv")
    assert len(frames) == FRAMES
    stages = frames[list(TIMES[1:])]
    assert (stages > 0).all(axis=None)
    assert frames["work"].to_numpy() == pytest.approx(stages.sum(axis=1).to_numpy())
    work = result.report["timing"]["work"]
    assert work is not None
    assert work["p95"] == pytest.approx(np.percentile(frames["work"], 95))
    assert frames[[f"coverage.{name}" for name in CLASS_NAMES]].sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_two_replays_give_the_same_bytes(tmp_path: Path, town: Path, model: Path, storage: StoragePlugin) -> None:
    bag = as_bag(tmp_path / "bag", town, "demo", storage)
    outputs = [tmp_path / "one", tmp_path / "two"]
    for output in outputs:
        arguments = (bag, "--output", output, "--model", model, "--labels", LABELS)
        subprocess.run(command(*arguments), cwd=ROOT, check=True, capture_output=True, timeout=200)
    first, second = (masks(output / "drive.mcap") for output in outputs)
    assert len(first) == FRAMES
    assert first == second
    reports = [json.loads((output / "report.json").read_text()) for output in outputs]
    for report in reports:
        del report["timing"], report["resources"]
    assert reports[0] == reports[1]
    tables = [pd.read_csv(output / "frames.csv").drop(columns=list(TIMES)) for output in outputs]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_labels_from_a_folder_and_from_a_topic_give_the_same_figures(
    tmp_path: Path, town: Path, model: Path, done: tuple[Result, Path]
) -> None:
    expected = done[0].report["accuracy"]
    assert expected is not None
    for train_ids in (False, True):
        bag = as_bag(tmp_path / f"bag{train_ids}", town, "demo", StoragePlugin.MCAP, train_ids)
        labels = LabelSource.parse([LABELS], train_ids)
        found = replay(bag, tmp_path / "out", model, labels=labels, record=False)
        assert found.report["accuracy"] == {**expected, "regions": {}}
        assert found.report["problems"] == []
    folder = tmp_path / "labels"
    folder.mkdir()
    for index, pair in enumerate(find_pairs(town, "demo")):
        assert pair.label is not None
        (folder / f"front_{stamp(index)}_gtFine_labelIds.png").write_bytes(pair.label.read_bytes())
    found = replay(bag, tmp_path / "out", model, labels=LabelSource(folder), topics=(FRONT,), record=False)
    assert found.report["accuracy"] == {**expected, "regions": {}}


@pytest.mark.skipif("UNET_SEG_DATA" not in os.environ, reason="UNET_SEG_DATA names no folder with camvid/")
def test_a_real_drive_has_the_accuracy_of_the_evaluation(tmp_path: Path) -> None:
    camvid, model = Path(os.environ["UNET_SEG_DATA"]) / "camvid", share_folder() / "models" / "unet_nano.safetensors"
    bag = as_bag(tmp_path / "bag", camvid, "val", StoragePlugin.MCAP)
    grouping = GROUPINGS["camvid11"]
    expected = evaluate(Segmenter.load(model, "cpu"), camvid, "val", grouping)
    found = replay(bag, tmp_path / "out", model, labels=LabelSource.parse([LABELS], False), grouping=grouping)
    accuracy = found.report["accuracy"]
    assert accuracy is not None
    assert accuracy["frames"] == 101
    assert accuracy["miou"] == expected.score.confusion.mean_iou()
    assert accuracy["confusion"] == expected.score.confusion.matrix.tolist()


def test_the_agreement_with_a_second_model_is_measured(tmp_path: Path, town: Path, model: Path) -> None:
    other = write_model(tmp_path / "other.safetensors", seed=2)
    same = replay(town, tmp_path / "same", model, against=str(model), record=False).report["stability"]
    assert (same["agreement"], same["agreement_miou"]) == (1.0, 1.0)
    differs = replay(town, tmp_path / "differs", model, against=str(other), record=False).report["stability"]
    segmenters = [Segmenter.load(path, "cpu") for path in (model, other)]
    images = [read_image(pair.image) for pair in find_pairs(town, "demo")]
    equal = [np.mean(segmenters[0]([image])[0].mask == segmenters[1]([image])[0].mask) for image in images]
    assert differs["agreement"] == pytest.approx(np.mean(equal))


def test_frames_that_cannot_be_decoded_are_dropped_alone(tmp_path: Path, model: Path) -> None:
    messages = [drives.raw(index) for index in range(5)]
    messages[2].encoding = "secret"
    messages[3].data = messages[3].data[:100]
    messages[4].encoding = "secret"
    bag = drives.write_bag(tmp_path / "bag", {FRONT: messages}, StoragePlugin.MCAP)
    result = replay(bag, tmp_path / "out", model)
    assert result.report["frames"] == {"sent": 5, "received": 5, "processed": 2, "dropped": {"malformed": 3}}
    (problem,) = result.report["problems"]
    assert problem.startswith(f"front: frame 2, stamp {stamp(2)}: unknown encoding 'secret'")
    assert problem.endswith("(and 2 more times)")
    assert exit_status(result) == 2
    assert list(result.frames["status"]) == ["processed", "processed", "dropped", "dropped", "dropped"]


def test_a_drive_without_any_usable_frame_has_a_report(tmp_path: Path, model: Path) -> None:
    messages = [drives.raw(index) for index in range(2)]
    for message in messages:
        message.encoding = "secret"
    bag = drives.write_bag(tmp_path / "bag", {FRONT: messages}, StoragePlugin.MCAP)
    with pytest.raises(ReplayError, match="no camera images in this bag; its topics: /front/image_raw"):
        replay(bag, tmp_path / "out", model)
    result = replay(bag, tmp_path / "out", model, topics=(FRONT,))
    assert result.report["frames"]["processed"] == 0
    assert result.report["timing"]["work"] is None
    assert "unknown encoding 'secret'" in result.report["problems"][0]


def test_a_bag_that_is_cut_short_is_reported_up_to_there(tmp_path: Path, model: Path) -> None:
    messages = [drives.raw(0) for _ in range(60)]
    for index, message in enumerate(messages):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp(index), 10**9)
        message.data = np.random.default_rng(index).integers(0, 256, 600 * 400 * 3).astype(np.uint8)
        message.height, message.width, message.step = 400, 600, 1800
    bag = drives.write_bag(tmp_path / "bag", {FRONT: messages}, StoragePlugin.MCAP)
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = subprocess.run(
        command(file, "--output", tmp_path / "out", "--model", model), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 20 <= report["frames"]["processed"] < 60
    assert f"damaged, {report['frames']['processed']} messages could be read" in report["problems"][0]


def test_repeated_and_backward_stamps_are_reported(tmp_path: Path, model: Path) -> None:
    messages = [drives.raw(index) for index in (0, 1, 1, 3, 2)]
    bag = drives.write_bag(tmp_path / "bag", {FRONT: messages}, StoragePlugin.MCAP)
    result = replay(bag, tmp_path / "out", model)
    check = result.report["source"]["front"]
    assert (check["frames"], check["repeated"], check["backward"], check["monotonic"]) == (5, 1, 1, False)
    assert result.report["frames"]["processed"] == 5
    assert result.report["problems"] == []


def test_labels_that_do_not_match_are_reported(tmp_path: Path, town: Path, model: Path) -> None:
    small = drives.write_cityscapes(tmp_path / "small", "val", 2, 2)
    bag = as_bag(tmp_path / "bag", town, "demo", StoragePlugin.MCAP)
    (problem,) = replay(bag, tmp_path / "out", model, labels=LabelSource(small), topics=(FRONT,)).report["problems"]
    assert "no label could be compared with a frame: a label must have its image's name" in problem
    wrong = replay(bag, tmp_path / "out", model, labels=LabelSource.parse([LABELS], True)).report
    assert (
        "is not a train id and counts as unlabeled; if the labels hold label ids, give --label-ids label"
        in wrong["problems"][0]
    )
    assert wrong["accuracy"] is not None
    resized = drives.write_cityscapes(tmp_path / "resized", "val", 3, 3)
    drives.write_image(next(resized.glob("leftImg8bit/val/town/*1_leftImg8bit.png")), drives.picture(0, 20, 30))
    report = replay(resized, tmp_path / "out", model).report
    assert "label of 64×48, image of 30×20: not compared" in report["problems"][0]
    assert report["accuracy"] is not None
    assert report["accuracy"]["frames"] == 2


def test_a_missing_label_topic_gives_an_error_of_one_line(tmp_path: Path, model: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, StoragePlugin.MCAP)
    with pytest.raises(ReplayError, match=r"no topic /label in this bag; its topics: /front/image_raw"):
        replay(bag, tmp_path / "out", model, labels=LabelSource.parse(["/label"], False))


def test_a_broken_model_gives_an_error_of_one_line(tmp_path: Path, town: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model")
    for model in (broken, tmp_path / "none.safetensors"):
        with pytest.raises(ReplayError, match=model.name) as caught:
            replay(town, tmp_path / "out", model)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_writes_a_report(tmp_path: Path, model: Path, number: int) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 4000, 20.0)
    process = subprocess.Popen(
        command(video, "--output", tmp_path / "out", "--model", model),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    seen, end = "", time.monotonic() + 120
    while not re.search(r" [1-9]\d*/4000", seen) and time.monotonic() < end:
        character = process.stderr.read(1)
        assert character, seen
        seen += character
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 1 <= report["frames"]["processed"] < 4000
    assert report["problems"] == ["interrupted"]
    assert len(pd.read_csv(tmp_path / "out" / "frames.csv")) == report["frames"]["processed"]


SIGNAL_WHILE_IT_WRITES = """
import os, signal, sys
from unet_seg_ros.replay.run import one_drive
write = one_drive.write
def late(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    write(*arguments)
one_drive.write = late
from unet_seg_ros.replay.__main__ import main
sys.exit(main())
"""


def test_a_signal_while_the_report_is_written_loses_nothing(tmp_path: Path, town: Path, model: Path) -> None:
    """Nor does the next of several drives begin."""
    arguments = [str(town), str(town), "--output", str(tmp_path / "out"), "--model", str(model), "--no-recording"]
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_WHILE_IT_WRITES, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    for folder in (tmp_path / "out", next((tmp_path / "out").glob("*/report.html")).parent):
        report = json.loads((folder / "report.json").read_text())
        assert report["frames"]["processed"] == FRAMES
        assert (folder / "report.html").is_file()
    assert len(list((tmp_path / "out").glob("*/report.json"))) == 1


def test_on_a_full_disk_the_recording_is_missing_or_one_line_says_why(tmp_path: Path, town: Path, model: Path) -> None:
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    script += "sys.argv[1:2] = []; from unet_seg_ros.replay.__main__ import main; sys.exit(main())"
    for room, left in ((2**19, True), (2**12, False)):
        arguments = [str(room), str(town), "--output", str(tmp_path / "out"), "--model", str(model)]
        done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "File too large" in done.stderr.splitlines()[-1]
        assert (tmp_path / "out" / "report.html").is_file() == left
        assert not (tmp_path / "out" / "drive.mcap").exists()


def test_a_table_of_many_rows_is_complete() -> None:
    table = Table()
    rows = [{"camera": "front", "index": i, "share": i / 7, "stamp_ns": 2**62 + i} for i in range(2500)]
    for row in rows:
        table.append(row)
    pd.testing.assert_frame_equal(table.frame(), pd.DataFrame(rows))
    assert table.frame()["stamp_ns"].dtype == np.int64


def test_ignored_pixels_are_left_out_of_masks_and_figures(tmp_path: Path, town: Path, model: Path) -> None:
    """Offline the same pixels are ignored as in the node."""
    upper_half = "0 0 1 0 1 0.5 0 0.5"
    plain = replay(town, tmp_path / "plain", model)
    result = replay(town, tmp_path / "masked", model, ignore={CAMERA: (upper_half,)}, unknown_below=0.2)
    before, after = (masks(tmp_path / folder / "drive.mcap") for folder in ("plain", "masked"))
    assert len(after) == FRAMES
    for at, data in after.items():
        mask, whole = (np.frombuffer(each, np.uint8).reshape(-1, 2, len(data) // 2)[0] for each in (data, before[at]))
        assert (mask[0] == VOID).all()
        known = mask[1] != VOID
        np.testing.assert_array_equal(mask[1][known], whole[1][known])
    assert result.report["accuracy"] is not None
    assert plain.report["accuracy"] is not None
    labelled = [np.sum(each.report["accuracy"]["confusion"]) for each in (result, plain)]  # type: ignore[index]
    assert 0 < labelled[0] < labelled[1]
    shares = [pd.read_csv(tmp_path / folder / "frames.csv").filter(like="coverage.") for folder in ("plain", "masked")]
    assert not np.allclose(*shares)


def test_ignored_pixels_of_an_unknown_camera_are_reported(tmp_path: Path, town: Path, model: Path) -> None:
    result = replay(town, tmp_path / "out", model, ignore={"fornt": ("0 0 1 0 1 0.5",)})
    assert result.report["problems"][0] == f"ignore: unknown camera fornt; the drive {town} has {CAMERA}"

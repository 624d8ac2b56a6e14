"""A replay gives the trust of each frame in the table, the report, the page, the recording and the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.health.pictures import street
from test.replay import drives
from test.replay.drives import FRONT
from unet_seg_ros.health.trust import Monitor
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.replay import __main__ as command
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.record.recorder import typestore
from unet_seg_ros.replay.result import Result
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.source.drive import TYPES, Array, image_message
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.share_folder import share_folder

MODEL = share_folder() / "models" / "unet_nano_synthetic.safetensors"  # it was trained on the town
BLACK = range(4, 6)
FROZEN = range(8, 15)
"""These frames all repeat the frame before them."""


def pictures() -> list[Array]:
    """A street by day with two black frames, and a frozen camera at the end."""
    frames = [image for image, _ in street()][:8]
    for index in BLACK:
        frames[index] = np.zeros_like(frames[index])
    return frames + [frames[-1]] * len(FROZEN)


def bag(path: Path) -> Path:
    messages = [image_message(picture, "rgb8", drives.stamp(i), "front") for i, picture in enumerate(pictures())]
    return drives.write_bag(path, {FRONT: messages}, StoragePlugin.MCAP)


def recorded(path: Path, ending: str) -> list[Any]:
    with AnyReader([path / "drive.mcap"], default_typestore=typestore()) as reader:
        wanted = [connection for connection in reader.connections if connection.topic.endswith(ending)]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in (reader.messages(wanted) if wanted else [])]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("health")
    options = Options(model=str(MODEL), device="cpu")
    return replay_one(bag(folder / "bag"), folder / "out", options, Gate()), folder / "out"


def test_each_frame_is_judged_as_the_node_judges_it(done: tuple[Result, Path]) -> None:
    frames = pd.read_csv(done[1] / "frames.csv", keep_default_na=False)
    segmenter = Segmenter.load(MODEL, "cpu")
    monitor = Monitor(segmenter.manifest)
    for index, picture in enumerate(pictures()):
        expected = monitor.look(segmenter([picture])[0], drives.stamp(index))
        row = frames.loc[index]
        assert row["trust"] == pytest.approx(expected.trust)
        assert (row["flags"], row["reason"]) == (" ".join(expected.flags), expected.reason)


def test_black_and_frozen_frames_get_their_flags(done: tuple[Result, Path]) -> None:
    frames = done[0].frames
    flags = [set(text.split()) for text in frames["flags"]]
    assert [index for index, found in enumerate(flags) if "dark" in found] == list(BLACK)
    assert [index for index, found in enumerate(flags) if "frozen" in found] == list(FROZEN)[3:]  # after 0.4 s
    assert "the picture is dark" in frames["reason"][BLACK[0]]
    assert "the picture stands still while its stamps move" in frames["reason"][FROZEN[-1]]
    assert frames["trust"][list(BLACK)].max() < 0.2
    assert frames["trust"][FROZEN[-1]] < 0.01


def test_the_report_summarises_the_health(done: tuple[Result, Path]) -> None:
    result, output = done
    trust, frames = result.report["trust"], result.frames
    assert trust is not None
    assert trust["p05"] == pytest.approx(np.percentile(frames["trust"], 5))
    assert trust["p50"] == pytest.approx(np.percentile(frames["trust"], 50))
    assert trust["distrusted"] == pytest.approx(np.mean([bool(text) for text in frames["flags"]]))
    assert trust["causes"]["dark"] == len(BLACK)
    assert trust["causes"]["frozen"] == len(FROZEN) - 3
    counts = list(trust["causes"].values())
    assert counts == sorted(counts, reverse=True)
    page = (output / "report.html").read_text()
    health = page[page.index("Health: the frames with the lowest trust") :]
    assert "the picture stands still while its stamps move" in health
    assert "trust 0.00: " in health.split("<h2>")[0]  # in this section


def test_the_recording_holds_the_health(done: tuple[Result, Path]) -> None:
    result, output = done
    health = recorded(output, "/front/health")
    assert [message.trust for message in health] == pytest.approx(result.frames["trust"].tolist())
    assert [" ".join(message.flags) for message in health] == result.frames["flags"].tolist()
    assert [message.trust for message in recorded(output, "/coverage")] == [message.trust for message in health]


def test_a_requirement_on_trust_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_end_on_signals", lambda: None)  # pytest keeps its own signal handlers
    arguments = [str(bag(tmp_path / "bag")), "--output", str(tmp_path / "out"), "--model", str(MODEL)]
    arguments += ["--device", "cpu", "--no-recording", "--require"]
    assert command.main([*arguments, "trust.p05>=0.5"]) == 1
    assert command.main([*arguments, "trust.p50>=0.5"]) == 0
    assert command.main([*arguments, "trust.p50>=50"]) == 2  # a fraction, not per cent


def test_a_frame_that_cannot_be_decoded_has_no_trust(tmp_path: Path, model: Path) -> None:
    broken = drives.compressed(1)
    broken.data = broken.data[: broken.data.size // 2]
    messages = [drives.compressed(0), broken, drives.compressed(2)]
    source = drives.write_bag(tmp_path / "bag", {f"{FRONT}/compressed": messages}, StoragePlugin.MCAP)
    assert TYPES.types[COMPRESSED_IMAGE] is type(broken)
    result = replay_one(source, tmp_path / "out", Options(model=str(model), device="cpu"), Gate())
    assert result.frames["status"].tolist() == ["processed", "dropped", "processed"]
    assert result.frames["flags"][1] == "malformed"
    assert result.frames["trust"][1] == 0
    assert len(recorded(tmp_path / "out", "/health")) == 3


def test_a_broken_network_gives_no_mask_as_in_the_node(tmp_path: Path) -> None:
    network = UNet(UNetConfig(widths=(8, 8, 16), depths=(1, 1, 1)))
    torch.nn.init.zeros_(network.head.weight)
    save_bundle(tmp_path / "dead.safetensors", network, Manifest("dead", network.config, 160 * 120))
    options = Options(model=str(tmp_path / "dead.safetensors"), device="cpu")
    result = replay_one(bag(tmp_path / "bag"), tmp_path / "out", options, Gate())
    count = len(pictures())
    assert result.report["frames"]["dropped"] == {"broken model": count}
    assert result.report["trust"] is not None
    assert result.report["trust"]["causes"]["broken_model"] == count
    assert recorded(tmp_path / "out", "/mask") == []
    assert len(recorded(tmp_path / "out", "/health")) == count
    assert "the network's output is the same for every pixel" in result.report["problems"][0]

"""How a replay ends: the exit status tells the kind of error, the report exists, and the last output is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from test.replay.models import write_model
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.replay.__main__ import main
from unet_seg_ros.replay.judge.requirements import parse
from unet_seg_ros.replay.report import writer
from unet_seg_ros.replay.run import one_drive


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    bag = drives.write_bag(tmp_path / "bag", {drives.FRONT: [drives.raw(i) for i in range(3)]}, StoragePlugin.MCAP)
    model = write_model(tmp_path / "tiny.safetensors")
    return [str(bag), "--model", str(model), "--device", "cpu", "--no-recording", "--output", str(tmp_path / "out")]


def test_an_unexpected_error_gives_status_3(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("what\na surprise")

    monkeypatch.setattr(one_drive, "replay_one", fails)
    assert main(command) == 3
    said = capsys.readouterr().err
    assert said.startswith("replay: unexpected ZeroDivisionError: what a surprise; ")
    assert said.count("\n") == 1
    assert "Traceback" in (tmp_path / "out" / "error.log").read_text()


def test_too_little_memory_gives_status_2(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(one_drive, "replay_one", fails)
    assert main(command) == 2


@pytest.mark.parametrize("broken", ["write_video", "page"])
def test_a_report_is_written_even_if_the_pictures_fail(
    broken: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no codec")

    monkeypatch.setattr(*(writer.page, "render") if broken == "page" else (writer, "write_video"), fails)
    assert main(command) == 2
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"]["processed"] == 3
    assert any("no codec" in problem for problem in report["problems"])
    assert (tmp_path / "out" / "frames.csv").exists()
    assert (tmp_path / "out" / "report.html").exists() == (broken == "write_video")


def test_a_percentage_instead_of_a_fraction_is_refused() -> None:
    for rule in ("miou>=60", "flicker<=-1", "iou.road>=1.5"):
        with pytest.raises(ValueError, match="is a fraction from 0 to 1"):
            parse([rule], "offline", GROUPINGS["cityscapes19"])
    assert parse(["rate>=30", "gaps<=5", "miou>=0.6"], "offline", GROUPINGS["cityscapes19"])


@pytest.mark.parametrize("kind", ["labelTrainIds", "polygons"])
def test_missing_labels_are_reported_with_the_files_that_exist(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = drives.write_cityscapes(tmp_path / "town", "val", 2, 2)
    for label in (town / "gtFine").rglob("*_labelIds.png"):
        label.rename(label.with_name(label.name.replace("labelIds.png", f"{kind}.png")))
    model = write_model(tmp_path / "tiny.safetensors")
    arguments = ["--model", str(model), "--device", "cpu", "--no-recording", "--output", str(tmp_path / "out")]
    assert main([str(town), *arguments]) == 2
    assert f"there is 2 files …_{kind}.png" in capsys.readouterr().err

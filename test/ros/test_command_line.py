"""The command `segmentation`, without ROS and with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from test.ros.client import NodeProcess, running
from unet_seg_ros.ros.command_line import check_arguments
from unet_seg_ros.ros.parameter_table import TABLE


def test_help_lists_the_parameters_and_starts_nothing() -> None:
    command = [sys.executable, "-m", "unet_seg_ros.ros.node", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for spec in TABLE:
        assert spec.name in done.stdout
    assert "--params-file" in done.stdout


@pytest.mark.parametrize("args", [[], ["--ros-args", "-p", "a:=1"], ["--ros-args", "--log-level", "debug", "--"]])
def test_arguments_of_ros_are_accepted(args: list[str]) -> None:
    check_arguments(args)


@pytest.mark.parametrize("args", [["--camera", "front"], ["--ros-args", "-p", "a:=1", "--", "front"]])
def test_unknown_arguments_are_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        check_arguments(args)
    assert "unrecognized arguments" in capsys.readouterr().err


def test_misspelt_parameters_and_those_of_another_node_give_a_warning(tiny: Path, tmp_path: Path) -> None:
    other, mine = tmp_path / "other.yaml", tmp_path / "mine.yaml"
    other.write_text("/ego/segmentation: {ros__parameters: {threads: 2}}\n")
    mine.write_text("segmentation: {ros__parameters: {regions: [], confidence_threshold: 1, max_rate.front: 5}}\n")
    with running(
        *("--params-file", str(other), "--params-file", str(mine)),
        *("-p", f"model:={tiny}", "-p", "threads:=1", "-p", "modle:=x"),
        outputs=("coverage",),
    ) as (node, client):
        client.wait(lambda: client.state() == "active", "active: ints are numbers and lists may be empty")
        client.wait(lambda: node.log.count("[WARN]") >= 3, "the warnings")
        assert "modle: there is no such parameter; did you mean model?" in node.log
        assert f"{other}: this parameter file is for /ego/segmentation and has nothing for /segmentation" in node.log
        assert "max_rate.front: cameras has no such name" in node.log
        assert node.log.count("[WARN]") == 3


def test_a_parameter_file_that_cannot_be_read_gives_an_error_of_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("/**: {ros__parameters: {region.a.polygon: [0, 0.5]}}\n")  # rcl takes lists of one type only
    with running("--params-file", str(bad)) as (node, client):
        client.wait(lambda: node.process.poll() is not None, "the process ends")
        assert node.process.returncode == 1
        assert "Sequence should be of same type" in node.log
        assert "Traceback" not in node.log


def test_a_log_folder_that_cannot_be_written_gives_one_line_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null/log")
    node = NodeProcess()
    assert node.process.wait(60) == 1
    node._reader.join(5)
    assert node.log.rstrip().endswith("; set ROS_LOG_DIR to a folder that can be written")
    assert "Traceback" not in node.log

"""The launch files with a stand-in for launch, and the real node that they start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test.launch_stand_in import Recorded, declared, of_kind, started
from unet_seg_ros.replay import launch_arguments
from unet_seg_ros.ros.bringup import ARGUMENTS, PROFILE_VARIABLES
from unet_seg_ros.share_folder import share_folder

FOLDER = share_folder() / "launch"


@pytest.fixture
def seg(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    for variable in PROFILE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return declared(FOLDER / "seg.launch.py", monkeypatch)


@pytest.fixture
def start(seg: list[Recorded]) -> Iterator[Any]:
    """Starts seg.launch.py with arguments; then ends it, as a shutdown of launch does."""
    handlers: list[Recorded] = []

    def run(**arguments: str) -> list[Recorded]:
        actions = started(seg, arguments)
        handlers.extend(of_kind("OnShutdown", actions))
        return list(of_kind("Node", actions))

    yield run
    for handler in handlers:
        handler.kwargs["on_shutdown"](None, None)


def parameters(file: str) -> dict[str, Any]:
    """The parameters in a file that the launch file wrote."""
    return dict(json.loads(Path(file).read_text())["/**"]["ros__parameters"])


@pytest.mark.parametrize("name", ["seg", "replay"])
def test_every_argument_is_declared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entities = declared(FOLDER / f"{name}.launch.py", monkeypatch)
    arguments = ARGUMENTS if name == "seg" else launch_arguments.ARGUMENTS
    found = [(e.args[0], e.kwargs["default_value"], e.kwargs["description"]) for e in entities[:-1]]
    assert found == [(a.name, a.default, a.description) for a in arguments]


def test_the_defaults_start_one_node(start: Any) -> None:
    (node,) = start()
    kwargs = node.kwargs
    assert (kwargs["package"], kwargs["executable"]) == ("unet_seg_ros", "segmentation")
    assert kwargs["name"] == "segmentation"
    assert kwargs["namespace"] is None  # then a pushed namespace is kept
    assert [parameters(file) for file in kwargs["parameters"]] == [{"topic.camera": "camera/image_raw"}]
    profile = str(FOLDER.parent / "config" / "shared_memory.xml")
    assert kwargs["additional_env"] == dict.fromkeys(PROFILE_VARIABLES, profile)
    assert not kwargs["respawn"]


def test_all_arguments_reach_the_node(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {cameras: [front]}}")
    node_arguments = {"params_file": str(file), "node_name": "eyes", "namespace": "ego"}
    process = {"log_level": "debug", "respawn": "true", "shared_memory": "false", "rviz": "true"}
    values = {"transport": "compressed", "model": "unet_nano", "device": "cpu"}
    nodes = start(**node_arguments, **process, **values, autostart="false", use_sim_time="true")
    kwargs = nodes[0].kwargs
    assert (kwargs["name"], kwargs["namespace"], kwargs["respawn"]) == ("eyes", "ego", True)
    assert kwargs["additional_env"] == {}
    assert kwargs["arguments"] == ["--ros-args", "--log-level", "debug"]
    assert kwargs["parameters"][0] == str(file)  # the arguments come later, so they have priority
    assert parameters(kwargs["parameters"][1]) == {**values, "autostart": False, "use_sim_time": True}
    assert nodes[1].kwargs["package"] == "rviz2"
    assert nodes[1].kwargs["namespace"] == "ego"
    assert ("/segmentation/camera/mask", "eyes/front/mask") in nodes[1].kwargs["remappings"]


def test_a_parameter_file_is_not_overridden(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {cameras: [front], topic.front: /a}}")
    (node,) = start(params_file=str(file))
    assert node.kwargs["parameters"] == [str(file)]


def test_temporary_files_are_removed_after_the_launch(seg: list[Recorded]) -> None:
    actions = started(seg, {"model": "unet_nano"})
    (node,), (handler,) = of_kind("Node", actions), of_kind("OnShutdown", actions)
    assert Path(node.kwargs["parameters"][0]).is_file()
    handler.kwargs["on_shutdown"](None, None)
    assert not Path(node.kwargs["parameters"][0]).exists()


def test_a_bad_argument_starts_nothing(seg: list[Recorded]) -> None:
    with pytest.raises(ValueError, match="cameras: 'front' is not name=topic"):
        started(seg, {"cameras": "front"})


def test_the_examples_use_arguments_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = sorted((FOLDER / "examples").glob("*.launch.py"))
    assert len(examples) == 2
    for example in examples:
        (include,) = of_kind("IncludeLaunchDescription", declared(example, monkeypatch))
        given = dict(include.kwargs["launch_arguments"])
        monkeypatch.undo()
        started(declared(FOLDER / "seg.launch.py", monkeypatch), given)
        (share,) = of_kind("FindPackageShare", [include])
        assert share.args == ("unet_seg_ros",)


def test_the_managers_example_manages_this_node(monkeypatch: pytest.MonkeyPatch) -> None:
    (manager,) = of_kind("Node", declared(FOLDER / "examples" / "lifecycle_manager.launch.py", monkeypatch))
    assert manager.kwargs["package"] == "nav2_lifecycle_manager"
    (given,) = manager.kwargs["parameters"]
    assert given["node_names"] == ["segmentation"]


def test_a_replay_gets_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"source": "a drive.mcap", "device": "cpu", "arguments": "--require 'miou >= 0.6'"}
    (process,) = started(declared(FOLDER / "replay.launch.py", monkeypatch), arguments)
    executable, *args = process.kwargs["cmd"]
    assert executable.args == ("replay", "unet_seg_ros")
    assert args == launch_arguments.command_line(arguments)

"""The launch files, run by ROS's own launch with replacements for the executables."""

import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="ROS's launch is not installed (there are no wheels of it)")

from launch import LaunchContext, LaunchService
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from unet_seg_ros.replay import launch_arguments
from unet_seg_ros.ros.bringup import ARGUMENTS, PROFILE_VARIABLES, Argument, bringup
from unet_seg_ros.share_folder import share_folder

LAUNCH_FILE = str(share_folder() / "launch" / "seg.launch.py")
REPLAY_FILE = str(share_folder() / "launch" / "replay.launch.py")
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
STAND_IN = f"""#!{sys.executable}
import json, os, sys
files = [sys.argv[i + 1] for i, arg in enumerate(sys.argv) if arg == "--params-file"]
with open(os.environ["TOLD"] + "/" + os.path.basename(sys.argv[0]), "w") as file:
    json.dump([sys.argv[1:], os.environ.get("{PROFILE}"), [open(name).read() for name in files]], file)
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ROS prefix whose executables write down their arguments and their profile."""
    for package, executable in (("unet_seg_ros", "segmentation"), ("unet_seg_ros", "replay"), ("rviz2", "rviz2")):
        marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / package
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        script = tmp_path / "lib" / package / executable
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(STAND_IN)
        script.chmod(0o755)
    shared = tmp_path / "share" / "unet_seg_ros" / "launch"
    shared.parent.mkdir()
    shared.symlink_to(share_folder() / "launch")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}")
    monkeypatch.setenv("TOLD", str(tmp_path))
    for variable in PROFILE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def launch(arguments: dict[str, str], file: str = LAUNCH_FILE) -> int:
    """Runs the launch file until it ends, and returns the exit status of `ros2 launch`."""
    service = LaunchService(noninteractive=True)
    source = PythonLaunchDescriptionSource(file)
    service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments.items()))
    return service.run()


@pytest.mark.parametrize(("file", "arguments"), [(LAUNCH_FILE, ARGUMENTS), (REPLAY_FILE, launch_arguments.ARGUMENTS)])
def test_every_argument_is_declared(file: str, arguments: tuple[Argument, ...]):
    description = PythonLaunchDescriptionSource(file).try_get_launch_description_without_context()
    declared = [entity for entity in description.entities if isinstance(entity, DeclareLaunchArgument)]
    assert [(entity.name, entity.description) for entity in declared] == [(a.name, a.description) for a in arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"cameras": "y=y/image_raw,off=/off", "transport": "compressed", "namespace": "ego", "use_sim_time": "true"},
        {"model": "on", "device": "cpu", "shared_memory": "false", "node_name": "eyes", "log_level": "warn"},
    ],
)
def test_the_node_gets_the_arguments_of_bringup(told: Path, arguments: dict[str, str]):
    assert launch(arguments) == 0
    args, profile, files = json.loads((told / "segmentation").read_text())
    plan = bringup(arguments)
    assert f"__node:={plan.node_name}" in args
    assert ("__ns:=/ego" in args) is bool(plan.namespace)
    assert ("warn" in args) is bool(plan.log_level)
    assert [json.loads(file)["/**"]["ros__parameters"] for file in files] == [plan.parameters]
    assert profile == plan.environment.get(PROFILE)
    assert not (told / "rviz2").exists()
    written = [arg for arg in args if arg.endswith(".yaml")]
    assert [Path(file).exists() for file in written] == [False]  # removed when the launch ends


def test_the_include_example_starts_the_node(told: Path):
    assert launch({}, str(share_folder() / "launch" / "examples" / "include.launch.py")) == 0
    args, _, files = json.loads((told / "segmentation").read_text())
    assert "__ns:=/car/perception" in args
    assert "/car/perception/front/image_raw:=/sensors/front" in args
    assert args.index("confidence_threshold:=0.6") < args.index("--params-file")  # given arguments have priority
    assert json.loads(files[0])["/**"]["ros__parameters"]["cameras"] == ["front", "rear"]


def test_rviz_shows_the_first_camera(told: Path):
    assert launch({"rviz": "true", "cameras": "front=/a,left=/b", "namespace": "ego"}) == 0
    args, profile, _ = json.loads((told / "rviz2").read_text())
    assert args[:2] == ["-d", str(share_folder() / "config" / "seg.rviz")]
    assert "/segmentation/camera/mask:=segmentation/front/mask" in args
    assert "__ns:=/ego" in args
    assert profile.endswith("shared_memory.xml")


def test_a_bad_argument_ends_the_launch_before_the_node_starts(told: Path):
    assert launch({"cameras": "front"}) == 1
    assert not (told / "segmentation").exists()


def test_the_error_is_that_of_bringup():
    description = PythonLaunchDescriptionSource(LAUNCH_FILE).try_get_launch_description_without_context()
    context = LaunchContext()
    context.launch_configurations.update({a.name: a.default for a in ARGUMENTS}, cameras="front")
    with pytest.raises(ValueError, match="cameras: 'front' is not name=topic"):
        description.entities[-1].execute(context)


def test_a_replay_gets_its_command_line(told: Path):
    arguments = {"source": "a drive.mcap", "device": "cpu", "arguments": "--require 'miou >= 0.6'"}
    assert launch(arguments, REPLAY_FILE) == 0
    args, _, _ = json.loads((told / "replay").read_text())
    assert args == launch_arguments.command_line(arguments)


def test_a_replay_without_a_source_ends_the_launch(told: Path):
    assert launch({}, REPLAY_FILE) == 1
    assert not (told / "replay").exists()

"""Launch arguments → parameters, remappings, environment."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.ros.bringup import bringup, parse_cameras, ros_args, write_parameters
from unet_seg_ros.share_folder import share_folder

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TOPICS = st.lists(NAMES, min_size=1, max_size=4).map(lambda tokens: "/" + "/".join(tokens))
CAMERAS = st.dictionaries(NAMES, TOPICS, min_size=1, max_size=5)


def test_defaults():
    plan = bringup({}, environ={})
    assert (plan.node_name, plan.namespace, plan.log_level, plan.respawn) == ("segmentation", "", "", False)
    assert plan.parameters == {"topic.camera": "camera/image_raw"}
    profile = str(share_folder() / "config" / "shared_memory.xml")
    assert plan.environment == {"FASTDDS_DEFAULT_PROFILES_FILE": profile, "FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    assert plan.params_file is None
    assert not plan.rviz


def test_cameras_of_a_parameter_file_are_kept(tmp_path: Path):
    params = tmp_path / "mine.yaml"
    params.write_text("/ego: {segmentation: {ros__parameters: {cameras: [front], topic.front: /front}}}\n")
    plan = bringup({"params_file": str(params), "model": "unet_s"}, environ={})
    assert plan.parameters == {"model": "unet_s"}
    assert plan.rviz_remappings[0] == ("/segmentation/camera/overlay", "segmentation/front/overlay")
    params.write_bytes(b"\xff{")
    assert bringup({"params_file": str(params)}, environ={}).rviz_remappings[0][1] == "segmentation/camera/overlay"


def test_all_arguments(tmp_path: Path):
    params = tmp_path / "mine.yaml"
    params.write_text("/**: {ros__parameters: {threads: 1}}\n")
    plan = bringup(
        {
            "cameras": "front=/front/image_raw, left=left/image_raw",
            "node_name": "eyes",
            "autostart": "false",
            "log_level": "debug",
            "respawn": "true",
            "transport": "compressed",
            "model": "unet_s",
            "device": "cuda:1",
            "params_file": str(params),
            "namespace": "ego",
            "use_sim_time": "True",
            "shared_memory": "false",
            "rviz": "1",
        },
        environ={},
    )
    assert plan.parameters == {
        "cameras": ["front", "left"],
        "topic.front": "/front/image_raw",
        "topic.left": "left/image_raw",
        "autostart": False,
        "transport": "compressed",
        "model": "unet_s",
        "device": "cuda:1",
        "use_sim_time": True,
    }
    assert plan.params_file == params
    assert (plan.node_name, plan.namespace, plan.log_level, plan.respawn) == ("eyes", "ego", "debug", True)
    assert plan.environment == {}
    assert plan.rviz
    assert ("/segmentation/camera/overlay", "eyes/front/overlay") in plan.rviz_remappings


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cameras": ","}, "cameras: '' is not name=topic"),
        ({"cameras": "front"}, "cameras: 'front' is not name=topic"),
        ({"cameras": "front=/a,"}, "cameras: '' is not name=topic"),
        ({"cameras": "=/a"}, "cameras: '' is not a camera name"),
        ({"cameras": "2nd=/a"}, "cameras: '2nd' is not a camera name"),
        ({"cameras": "front cam=/a"}, "cameras: 'front cam' is not a camera name"),
        ({"cameras": "front/left=/a"}, "cameras: 'front/left' is not a camera name"),
        ({"cameras": f"{'f' * 101}=/a"}, "is not a camera name: it must be a name of letters"),
        (
            {"cameras": f"front=/{'a/' * 100}a"},
            "such as /front/image_raw, of at most 200 characters",
        ),
        ({"cameras": "vorn\u00e9=/a"}, "is not a camera name"),
        ({"cameras": "front=/a,front=/b"}, "cameras: the name 'front' appears twice"),
        ({"cameras": "front="}, "cameras: '', the topic of 'front', is not a topic's name"),
        ({"cameras": "front=/"}, "not a topic's name"),
        ({"cameras": "front=/a/"}, "not a topic's name"),
        ({"cameras": "front=//a"}, "not a topic's name"),
        ({"cameras": "front=/a/2b"}, "not a topic's name"),
        ({"cameras": "front=/a=/b"}, "not a topic's name"),
        ({"node_name": "a/b"}, "node_name: 'a/b' is not a name"),
        ({"node_name": ""}, "node_name: '' is not a name"),
        ({"log_level": "loud"}, "log_level: 'loud' is not one of debug, info"),
        ({"autostart": "maybe"}, "autostart: 'maybe' is neither true nor false"),
        ({"respawn": ""}, "respawn: '' is neither true nor false"),
        ({"transport": "theora"}, "transport: 'theora' is not one of raw, compressed"),
        ({"namespace": "a//b"}, "namespace: 'a//b' is not a ROS namespace"),
        ({"namespace": "a/"}, "namespace: 'a/' is not"),
        ({"params_file": "/nowhere/at/all.yaml"}, "params_file: there is no file '/nowhere/at/all.yaml'"),
        ({"use_sim_time": "yes"}, "use_sim_time: 'yes' is neither true nor false"),
        ({"shared_memory": ""}, "shared_memory: '' is neither"),
        ({"rviz": "maybe"}, "rviz: 'maybe' is neither"),
        ({"camera": "front=/a"}, "camera: there is no such argument; the arguments are cameras, transport"),
    ],
)
def test_errors_name_the_argument(arguments: dict[str, str], says: str):
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        bringup(arguments, environ={})
    assert str(error.value).startswith(f"{next(iter(arguments))}: ")


def test_blanks_around_names_and_topics_are_ignored():
    assert parse_cameras(" front = /a ,\n left=/b\n") == {"front": "/a", "left": "/b"}


@given(CAMERAS)
def test_cameras_survive_writing_and_reading(cameras: dict[str, str]):
    text = ",".join(f"{name}={topic}" for name, topic in cameras.items())
    assert parse_cameras(text) == cameras
    assert list(parse_cameras(text)) == list(cameras)


@given(st.text(alphabet="ab1_/=, \u00e9~{}\n", max_size=20))
def test_any_text_gives_cameras_or_an_error_of_one_line(text: str):
    try:
        cameras = parse_cameras(text)
    except ValueError as error:
        line = str(error)
        assert re.fullmatch("cameras: .+", line)
    else:
        assert cameras
        assert all(re.fullmatch(r"/?\w+(/\w+)*", topic) for topic in cameras.values())


@pytest.mark.parametrize("variable", ["FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"])
def test_a_profile_in_the_environment_is_kept(variable: str):
    assert bringup({}, environ={variable: "/my/profile.xml"}).environment == {}
    assert bringup({}, environ={variable: ""}).environment != {}


def test_the_callers_environment_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/my/profile.xml")
    assert bringup({}).environment == {}


def test_ros_args():
    plan = bringup({"cameras": "y=y/image_raw,off=/off", "namespace": "a/b", "model": 'my "net"'}, environ={})
    args = ros_args(plan)
    assert args[:5] == ["--ros-args", "-r", "__node:=segmentation", "-r", "__ns:=/a/b"]
    assert 'cameras:=["y", "off"]' in args
    assert 'topic.y:="y/image_raw"' in args
    assert 'model:="my \\"net\\""' in args
    assert ros_args(bringup({"log_level": "warn"}, environ={}))[-2:] == ["--log-level", "warn"]


def test_the_parameters_are_written_with_every_string_quoted():
    plan = bringup({"cameras": "y=/y,on=/on", "model": "no"}, environ={})
    file = write_parameters(plan)
    assert json.loads(file.read_text()) == {"/**": {"ros__parameters": plan.parameters}}
    file.unlink()

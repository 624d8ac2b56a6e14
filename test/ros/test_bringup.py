"""Launch arguments → parameters, remappings, environment."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.ros.bringup import ARGUMENTS, bringup, parse_cameras, ros_args
from unet_seg_ros.share import share_folder

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TOPICS = st.lists(NAMES, min_size=1, max_size=4).map(lambda tokens: "/" + "/".join(tokens))
CAMERAS = st.dictionaries(NAMES, TOPICS, min_size=1, max_size=5)


def test_defaults():
    plan = bringup({}, environ={})
    assert plan.namespace == ""
    assert plan.parameters == {"cameras": ["camera"]}
    assert plan.remappings == [
        ("~/camera/image", "/camera/image_raw"),
        ("~/camera/image/compressed", "/camera/image_raw/compressed"),
    ]
    profile = str(share_folder() / "config" / "shared_memory.xml")
    assert plan.environment == {"FASTDDS_DEFAULT_PROFILES_FILE": profile, "FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    assert plan.params_file == share_folder() / "config" / "seg.param.yaml"
    assert not plan.rviz


def test_all_arguments(tmp_path: Path):
    params = tmp_path / "mine.yaml"
    params.write_text("/**: {ros__parameters: {threads: 1}}\n")
    plan = bringup(
        {
            "cameras": "front=/front/image_raw, left=/left/image_raw",
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
        "transport": "compressed",
        "model": "unet_s",
        "device": "cuda:1",
        "use_sim_time": True,
    }
    assert ("~/front/image/compressed", "/front/image_raw/compressed") in plan.remappings
    assert ("~/left/image", "/left/image_raw") in plan.remappings
    assert plan.params_file == params
    assert plan.namespace == "/ego"
    assert plan.environment == {}
    assert plan.rviz
    assert ("/segmentation/camera/overlay", "/ego/segmentation/front/overlay") in plan.rviz_remappings


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cameras": ""}, "cameras: '' is not name=topic"),
        ({"cameras": "front"}, "cameras: 'front' is not name=topic"),
        ({"cameras": "front=/a,"}, "cameras: '' is not name=topic"),
        ({"cameras": "=/a"}, "cameras: '' can't be a camera's name"),
        ({"cameras": "2nd=/a"}, "cameras: '2nd' can't be"),
        ({"cameras": "front cam=/a"}, "cameras: 'front cam' can't be"),
        ({"cameras": "front/left=/a"}, "cameras: 'front/left' can't be"),
        ({"cameras": "vorn\u00e9=/a"}, "can't be a camera's name"),
        ({"cameras": "front=/a,front=/b"}, "cameras: 'front' is there twice"),
        ({"cameras": "front="}, "cameras: '', the topic of 'front', is not an absolute topic name"),
        ({"cameras": "front=a/b"}, "'a/b', the topic of 'front', is not an absolute"),
        ({"cameras": "front=/"}, "not an absolute topic name"),
        ({"cameras": "front=/a/"}, "not an absolute topic name"),
        ({"cameras": "front=//a"}, "not an absolute topic name"),
        ({"cameras": "front=/a/2b"}, "not an absolute topic name"),
        ({"cameras": "front=/a=/b"}, "not an absolute topic name"),
        ({"transport": "theora"}, "transport: 'theora' is none of raw, compressed"),
        ({"namespace": "a//b"}, "namespace: 'a//b' is not a ROS namespace"),
        ({"namespace": "a/"}, "namespace: 'a/' is not"),
        ({"params_file": "/nowhere/at/all.yaml"}, "params_file: there is no file /nowhere/at/all.yaml"),
        ({"use_sim_time": "yes"}, "use_sim_time: 'yes' is neither true nor false"),
        ({"shared_memory": ""}, "shared_memory: '' is neither"),
        ({"rviz": "maybe"}, "rviz: 'maybe' is neither"),
        ({"camera": "front=/a"}, "camera: there is no such argument; there are cameras, transport"),
    ],
)
def test_errors_name_the_argument(arguments: dict[str, str], says: str):
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        bringup(arguments, environ={})
    assert str(error.value).startswith(f"{next(iter(arguments))}: ")


def test_blanks_around_names_and_topics_are_no_error():
    assert parse_cameras(" front = /a ,\n left=/b\n") == {"front": "/a", "left": "/b"}


@given(CAMERAS)
def test_cameras_survive_writing_and_reading(cameras: dict[str, str]):
    text = ",".join(f"{name}={topic}" for name, topic in cameras.items())
    assert parse_cameras(text) == cameras
    assert list(parse_cameras(text)) == list(cameras)


@given(st.text(alphabet="ab1_/=, \u00e9~{}\n", max_size=20))
def test_any_text_is_either_cameras_or_one_clear_line(text: str):
    try:
        cameras = parse_cameras(text)
    except ValueError as error:
        line = str(error)
        assert re.fullmatch("cameras: .+", line)
    else:
        assert cameras
        assert all(topic.startswith("/") for topic in cameras.values())


@pytest.mark.parametrize("variable", ["FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"])
def test_the_users_own_profile_is_kept(variable: str):
    assert bringup({}, environ={variable: "/my/profile.xml"}).environment == {}
    assert bringup({}, environ={variable: ""}).environment != {}


def test_the_callers_environment_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/my/profile.xml")
    assert bringup({}).environment == {}


def test_ros_args():
    plan = bringup({"cameras": "y=/y/image_raw,off=/off", "namespace": "/a/b", "model": 'my "net"'}, environ={})
    args = ros_args(plan)
    assert args[:3] == ["--ros-args", "-r", "__ns:=/a/b"]
    assert "~/y/image:=/y/image_raw" in args
    assert args.index("--params-file") < args.index("-p"), "what comes later wins"
    assert 'cameras:=["y", "off"]' in args
    assert 'model:="my \\"net\\""' in args
    assert not any(arg.startswith("use_sim_time") for arg in args)
    assert "use_sim_time:=true" in ros_args(bringup({"use_sim_time": "true"}, environ={}))


@given(CAMERAS)
def test_ros_args_quote_every_string(cameras: dict[str, str]):
    args = ros_args(bringup({"cameras": ",".join(f"{name}={topic}" for name, topic in cameras.items())}, environ={}))
    value = next(arg for arg in args if arg.startswith("cameras:=")).removeprefix("cameras:=")
    assert json.loads(value) == list(cameras)


def test_every_argument_is_described():
    assert len({argument.name for argument in ARGUMENTS}) == len(ARGUMENTS)
    assert all(argument.description.endswith(".") for argument in ARGUMENTS)


def test_the_shared_memory_profile():
    """One shared-memory transport that takes a 2048×1024 rgb8 frame whole, and UDP beside it."""
    space = {"d": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    root = ET.parse(share_folder() / "config" / "shared_memory.xml").getroot()
    transports = {
        found.findtext("d:type", namespaces=space): found for found in root.iterfind(".//d:transport_descriptor", space)
    }
    assert set(transports) == {"SHM", "UDPv4"}
    assert int(transports["SHM"].findtext("d:maxMessageSize", "0", space)) > 3 * 2048 * 1024
    assert int(transports["SHM"].findtext("d:segment_size", "0", space)) == 64 * 1024**2
    used = {found.text for found in root.iterfind(".//d:userTransports/d:transport_id", space)}
    assert used == {found.findtext("d:transport_id", namespaces=space) for found in transports.values()}
    assert root.findtext(".//d:useBuiltinTransports", namespaces=space) == "false"

"""What rcl makes of the arguments that bringup gives."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node

from unet_seg_ros.ros.bringup import bringup, ros_args
from unet_seg_ros.share import share_folder


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[rclpy.Context]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    context.init(args=[], domain_id=random.randint(1, 100))
    yield context
    context.shutdown()


def start(context: rclpy.Context, arguments: dict[str, str]) -> Node:
    return Node(
        "segmentation",
        context=context,
        cli_args=ros_args(bringup(arguments, environ={})),
        use_global_arguments=False,
        automatically_declare_parameters_from_overrides=True,
    )


def parameters(node: Node) -> dict[str, Any]:
    """All that came from the file and the arguments."""
    own = ("use_sim_time", "start_type_description_service")
    return {name: value.value for name, value in node.get_parameters_by_prefix("").items() if name not in own}


def test_the_parameter_file_is_read_whole(context: rclpy.Context):
    text = (share_folder() / "config" / "seg.param.yaml").read_text()
    node = start(context, {})
    assert parameters(node) == yaml.safe_load(text)["/**"]["ros__parameters"]


def test_arguments_win_over_the_file_and_strings_stay_strings(context: rclpy.Context, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {cameras: [other], model: other, threads: 1}}\n")
    arguments = {
        "cameras": "y=/y/image_raw,off=/off",
        "model": "on",
        "device": "1",
        "namespace": "ego",
        "params_file": str(file),
    }
    node = start(context, arguments)
    assert parameters(node) == {"cameras": ["y", "off"], "model": "on", "device": "1", "threads": 1}
    assert node.get_fully_qualified_name() == "/ego/segmentation"
    assert node.resolve_topic_name("~/y/image") == "/y/image_raw"
    assert node.resolve_topic_name("~/off/image/compressed") == "/off/compressed"
    assert node.resolve_topic_name("~/y/mask") == "/ego/segmentation/y/mask"

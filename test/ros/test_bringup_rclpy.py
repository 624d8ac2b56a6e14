"""How rcl reads the arguments that bringup makes."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node

from unet_seg_ros.ros.bringup import bringup, ros_args, write_parameters
from unet_seg_ros.ros.parameters import Parameters
from unet_seg_ros.share_folder import share_folder


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[rclpy.Context]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    context.init(args=[], domain_id=random.randint(1, 100))
    yield context
    context.shutdown()


def start(context: rclpy.Context, args: dict[str, str] | list[str]) -> Node:
    return Node(
        "other",
        context=context,
        cli_args=args if isinstance(args, list) else ros_args(bringup(args, environ={})),
        use_global_arguments=False,
    )


def parameters(node: Node) -> dict[str, Any]:
    """All parameters from the file and the arguments; rcl gives None for an empty list."""
    return {name: value.value for name, value in node._parameter_overrides.items()}


def test_every_parameter_of_the_file_reaches_the_node(context: rclpy.Context):
    path = share_folder() / "config" / "seg.param.yaml"
    node = start(context, {"params_file": str(path)})
    in_file = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    given = parameters(node)
    assert given == {name: None if value == [] else value for name, value in in_file.items()}
    assert Parameters(node).unused() == []


@pytest.mark.parametrize("by_file", [False, True])  # as launch starts the node, and as the replay does
def test_arguments_override_the_file_and_strings_stay_strings(context: rclpy.Context, tmp_path: Path, by_file: bool):
    file = tmp_path / "mine.yaml"
    file.write_text("/ego/segmentation: {ros__parameters: {cameras: [other], model: other, threads: 1}}\n")
    arguments = {"cameras": "y=y/raw,off=/off", "model": "on", "device": "1", "namespace": "ego"}
    plan = bringup({**arguments, "params_file": str(file)}, environ={})
    args = ros_args(plan)
    if by_file:
        written = write_parameters(plan)
        args = [*args[: args.index("-p")], "--params-file", str(written)]
    node = start(context, args)
    assert parameters(node) == {
        "cameras": ["y", "off"],
        "topic.y": "y/raw",
        "topic.off": "/off",
        "model": "on",
        "device": "1",
        "threads": 1,
    }
    assert node.get_fully_qualified_name() == "/ego/segmentation"
    assert node.resolve_topic_name("y/raw") == "/ego/y/raw"

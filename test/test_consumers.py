"""Configuration files for programs that use the node's outputs, read as the programs' documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from unet_seg_ros.data.autoware import CLASSES
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.model.unet import CONFIGS

CONFIG = Path(__file__).parent.parent / "config"
NODE = "/segmentation"


@pytest.fixture(scope="module")
def published() -> dict[str, str]:
    """Message types by topic, of a node whose camera is "camera"; no node is started."""
    pytest.importorskip("rclpy")
    from unet_seg_ros.ros.outputs import frame_outputs

    outputs = frame_outputs(Manifest("any", CONFIGS["nano"], max_pixels=10_000), autoware=True)
    topics = {f"{NODE}/camera/{output.name}": output.type.__name__ for output in outputs}
    more = {"ground": "OccupancyGrid", "camera/ground": "OccupancyGrid", "camera/label_info": "LabelInfo"}
    return topics | {f"{NODE}/{name}": kind for name, kind in more.items()} | {f"{NODE}/camera/health": "CameraHealth"}


def test_nav2s_semantic_layer_finds_mask_confidence_and_every_class(published: dict[str, str]) -> None:
    content = yaml.safe_load((CONFIG / "nav2_semantic_layer.yaml").read_text())
    layer = content["local_costmap"]["local_costmap"]["ros__parameters"]["semantic_segmentation_layer"]
    source = layer[layer["observation_sources"]]
    assert published[source["segmentation_topic"]] == "Image"
    assert published[source["confidence_topic"]] == "Image"
    assert published[source["labels_topic"]] == "LabelInfo"
    classes = [name for kind in source["class_types"] for name in source[kind]["classes"]]
    assert sorted(classes) == sorted(set(CLASS_NAMES) - {"sky"})  # each class once; no lidar point is in the sky
    costs = load_costs(None, CLASS_NAMES, range(19)).cost
    for kind, fits in (("free", lambda c: c == 0), ("costly", lambda c: 0 < c < 100), ("lethal", lambda c: c == 100)):
        settings = source[kind]
        assert all(fits(costs[CLASS_NAMES.index(name)]) for name in settings["classes"])
        assert 0 <= settings["base_cost"] <= settings["max_cost"] <= 254
        assert 0 <= settings["mark_confidence"] <= 255


def test_autowares_filter_gets_its_classes_in_order(published: dict[str, str]) -> None:
    content = yaml.safe_load((CONFIG / "autoware_pointcloud_filter.yaml").read_text())["/**"]["ros__parameters"]
    wanted = content["filter_semantic_label_target"]
    assert tuple(wanted) == CLASSES
    assert not any(wanted[name] for name in ("PERSON", "VEHICLE", "BIKE", "OBSTACLE", "UNKNOWN"))
    assert published[f"{NODE}/camera/mask/autoware"] == "Image"


def panels(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_the_foxglove_layout_shows_image_mask_grid_and_health(published: dict[str, str]) -> None:
    layout = json.loads((CONFIG / "planner.foxglove.json").read_text())
    found = layout["configById"]
    assert sorted(panels(layout["layout"])) == sorted(found)
    pictures = [panel["imageMode"]["imageTopic"] for name, panel in found.items() if name.startswith("Image!")]
    assert [published[topic] for topic in pictures] == ["Image", "Image"]
    assert [published[topic] for topic in found["3D!ground"]["topics"]] == ["OccupancyGrid"]
    assert found["3D!ground"]["followTf"] == "base_link"
    topics = {path["value"].rsplit(".", 1)[0] for path in found["Plot!trust"]["paths"]}
    assert {published[topic] for topic in topics} == {"CameraHealth", "ClassCoverage"}
    assert published[found["RawMessages!health"]["topicPath"]] == "CameraHealth"


def test_the_rviz_layout_shows_image_mask_and_grid(published: dict[str, str]) -> None:
    manager = yaml.safe_load((CONFIG / "planner.rviz").read_text())["Visualization Manager"]
    shown = {display["Class"].split("/")[1]: published[display["Topic"]["Value"]] for display in manager["Displays"]}
    assert shown == {"Image": "Image", "Map": "OccupancyGrid"}
    assert manager["Global Options"]["Fixed Frame"] == "base_link"

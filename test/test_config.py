"""The layouts of Foxglove and RViz show topics that a replay records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.replay.source.video_and_folder import CAMERA, TOPIC
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.share_folder import share_folder
from unet_seg_ros.vocabulary import CAMERA_TASK, ENGINE_TASK

CONFIG = share_folder() / "config"
TARGET = Target.own({CAMERA: TOPIC})
PICTURES = {TOPIC, *(TARGET.topic(CAMERA, output) for output in ("overlay", "mask", "confidence"))}


def panels(layout: Any) -> Iterator[str]:
    """The panels in the tree of a Foxglove layout, from left to right."""
    if isinstance(layout, str):
        yield layout
    else:
        assert layout["direction"] in ("row", "column")
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_the_foxglove_layout_shows_recorded_topics() -> None:
    layout = json.loads((CONFIG / "replay.foxglove.json").read_text())
    found = layout["configById"]
    assert sorted(panels(layout["layout"])) == sorted(found)
    images = {panel["imageMode"]["imageTopic"] for name, panel in found.items() if name.startswith("Image!")}
    assert images == PICTURES
    coverage = TARGET.topic(CAMERA, "coverage")
    paths = [path for name, panel in found.items() if name.startswith("Plot!") for path in panel["paths"]]
    assert all(path["value"].startswith(f"{coverage}.") for path in paths)
    for path in paths:
        if ".fraction[" in path["value"]:
            assert path["value"] == f"{coverage}.regions[0].fraction[{CLASS_NAMES.index(path['label'])}]"


def test_the_rviz_layout_shows_recorded_topics() -> None:
    layout = yaml.safe_load((CONFIG / "replay.rviz").read_text())
    displays = layout["Visualization Manager"]["Displays"]
    assert {display["Topic"]["Value"] for display in displays} == PICTURES
    assert {display["Name"] for display in displays} <= layout["Window Geometry"].keys()
    assert layout["Visualization Manager"]["Global Options"]["Fixed Frame"] == CAMERA  # the topic of folders and videos


def test_the_aggregator_sorts_all_reports_of_the_node() -> None:
    layout = yaml.safe_load((CONFIG / "diagnostics_aggregator.yaml").read_text())["/**"]["ros__parameters"]
    analyzers = [value for value in layout.values() if isinstance(value, dict)]
    starts = [start for a in analyzers for start in a.get("startswith", []) + a.get("find_and_remove_prefix", [])]
    for task in (f"{CAMERA_TASK}front", "health front", "node", ENGINE_TASK, "ground"):
        assert sum(f"segmentation: {task}".startswith(start) for start in starts) == 1, task

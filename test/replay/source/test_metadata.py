"""A bag whose metadata.yaml does not fit its files: what can be read is read, and the rest is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros.replay.source.bag_reader import MAX_METADATA
from unet_seg_ros.replay.source.video_and_folder import open_source

INFORMATION = "rosbag2_bagfile_information"


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return drives.write_bag(tmp_path / "bag", {drives.FRONT: [drives.raw(0), drives.raw(1)]}, StoragePlugin.MCAP)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("message_count: 2", "message_count: 7", "according to metadata.yaml there are 7"),
        ("bag.mcap", "other.mcap", "files are missing: other.mcap"),
        (f"{INFORMATION}:", "- [", "metadata.yaml cannot be read"),
        (f"{INFORMATION}:", f"a: &a {{b: 1}}\nc: {{<<: *a}}\n{INFORMATION}:", "a merge (<<)"),
        ("paths:\n  - bag.mcap", "paths: []", "metadata.yaml names no file"),
    ],
)
def test_missing_files_and_messages_are_reported(old: str, new: str, says: str, bag: Path) -> None:
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace(old, new))
    found, said = drives.stamps(bag)
    assert found == [0, 1]
    assert says in said


def test_a_file_that_is_named_twice_is_read_once(bag: Path) -> None:
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("- bag.mcap", "- bag.mcap\n  - bag.mcap"))
    assert drives.stamps(bag) == ([0, 1], "")


def test_a_file_that_is_not_named_is_reported(bag: Path) -> None:
    assert open_source(bag).problems == ()
    shutil.copy(bag / "bag.mcap", bag / "bag_1.mcap")
    drive = open_source(bag)
    assert drive.problems == (f"{bag}: metadata.yaml does not name bag_1.mcap, so that this is not read",)
    assert len(list(drive.frames())) == 2


def test_metadata_may_have_aliases(bag: Path) -> None:
    """As Python's YAML writes an object that occurs twice."""
    metadata = bag / "metadata.yaml"
    whole = yaml.safe_load(metadata.read_text())
    profiles = [{"history": "keep_last"}]
    whole[INFORMATION]["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"] = profiles
    whole[INFORMATION]["custom_data"] = profiles
    metadata.write_text(yaml.safe_dump(whole))
    assert "*id001" in metadata.read_text()
    assert drives.stamps(bag) == ([0, 1], "")


@pytest.mark.parametrize("value", ["- a\n", "- []\n", "- {}\n"])
def test_millions_of_values_are_refused_without_building_them(value: str, bag: Path) -> None:
    (bag / "metadata.yaml").write_text("a:\n" + value * (MAX_METADATA // len(value) - 10))
    found, said = drives.stamps(bag)
    assert found == [0, 1]
    assert "more than 200000 values" in said

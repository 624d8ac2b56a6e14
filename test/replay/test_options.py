"""Groupings and regions from files, the settings in the report, and options that exclude each other."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS
from unet_seg_ros.replay import __main__ as command
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.options import Options, load_grouping, load_ignored, load_regions

GROUPS = {"drivable": ["road"], "soft ground": ["terrain", "sidewalk"], "rail": ["train"]}
REGIONS = {"left": [0, 0, 0.5, 0, 0.5, 1], "ego lane": [0.4, 0.5, 0.6, 0.5, 0.9, 1.0, 0.1, 1.0]}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def line_of(caught: pytest.ExceptionInfo[ValueError]) -> str:
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def given(*arguments: str) -> Options:
    return command._options(command._parser().parse_args(["drive", "--output", "out", *arguments]))


@pytest.mark.parametrize("name", GROUPINGS)
def test_a_shipped_grouping_is_found_by_its_name(name: str) -> None:
    assert load_grouping(name) is GROUPINGS[name]


def test_a_grouping_can_come_from_a_file(tmp_path: Path) -> None:
    found = load_grouping(str(written(tmp_path / "planner.yaml", json.dumps(GROUPS))))
    assert (found.name, found.names) == ("planner", tuple(GROUPS))
    for train_id, name in enumerate(CLASS_NAMES):
        groups = [index for index, members in enumerate(GROUPS.values()) if name in members]
        assert found.table[train_id] == (groups[0] if groups else 255)
    assert sum(map(len, found.members)) == 4


def test_a_grouping_in_block_style_is_the_same(tmp_path: Path) -> None:
    text = "# for the planner\ndrivable: [road]\nsoft ground:\n  - terrain\n  - sidewalk\nrail:\n- train\n"
    block, flow = tmp_path / "block", tmp_path / "flow"
    for folder in (block, flow):
        folder.mkdir()
    written(flow / "planner.yaml", json.dumps(GROUPS))
    written(block / "planner.yaml", text)
    assert load_grouping(str(block / "planner.yaml")) == load_grouping(str(flow / "planner.yaml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drivable: [road, raod]", "drivable: 'raod' is not a class; the classes are road, sidewalk, building,"),
        ("drivable: [[road]]", "drivable: ['road'] is not a class"),
        ("drivable: [Road]", "drivable: 'Road' is not a class"),
        ("drivable: [0]", "drivable: 0 is not a class"),
        (
            "drivable: [road]\nflat: [sidewalk, road]",
            "road is in drivable and in flat; a class may be in only one group",
        ),
        ("drivable: [road, road]", "road is in drivable and in drivable"),
        ("drivable: road", "drivable: give a list of class names"),
        ("drivable: []", "drivable: give a list of class names"),
        ("drivable:", "drivable: give a list of class names"),
        ("drivable: {road: 1}", "drivable: give a list of class names"),
        ("", "must be a mapping of names, such as 'drivable: [road]'"),
        ("{}", "must be a mapping of names"),
        ("- road", "must be a mapping of names"),
        ("road", "must be a mapping of names"),
        ("1: [road]", "must be a mapping of names"),
        ("drivable: [road\nflat: [", "not YAML: "),
        ("drivable:\n\t- road", "not YAML: "),
        ("drivable: \0", "not YAML: "),
    ],
)
def test_a_wrong_grouping_gives_one_line_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path / "planner.yaml", text)
    with pytest.raises(ValueError, match="planner") as caught:
        load_grouping(str(path))
    assert line_of(caught).startswith(f"{path}: {says}")


def test_a_grouping_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "planner.yaml"
    path.write_bytes("Straße: [road]".encode("latin-1"))
    with pytest.raises(ValueError, match="not YAML") as caught:
        load_grouping(str(path))
    assert line_of(caught).startswith(f"{path}: ")


def test_an_unknown_grouping_lists_the_groupings(tmp_path: Path) -> None:
    for text in ("cityscapes", str(tmp_path / "absent.yaml"), str(tmp_path), ""):
        with pytest.raises(ValueError, match="grouping") as caught:
            load_grouping(text)
        says = f"grouping: {text} is neither a file nor one of cityscapes19, categories, camvid11, idd7"
        assert line_of(caught) == says


def test_regions_are_read_from_a_file(tmp_path: Path) -> None:
    found = load_regions(written(tmp_path / "regions.yaml", json.dumps(REGIONS)))
    assert [region.name for region in found] == list(REGIONS)
    for region in found:
        assert [number for point in region.polygon for number in point] == REGIONS[region.name]
        assert region.cameras == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("left: [0, 0, 1, 0, 1]", "region.left.polygon: 5 numbers, x and y must come in pairs"),
        ("left: [0, 0, 1, 1]", "region.left.polygon: 2 points, a polygon has at least 3"),
        ("left: []", "region.left.polygon: 0 points, a polygon has at least 3"),
        ("left: [0, 0, 1, 0, 1, 1.5]", "region.left.polygon: 1.5 is not a fraction of the frame, 0 to 1"),
        ("left: [0, 0, 1, 0, 1, -0.1]", "region.left.polygon: -0.1 is not a fraction"),
        ("left: [0, 0, 1, 0, 1, .nan]", "region.left.polygon: nan is not a fraction"),
        ("left: [[0, 0], [1, 0], [1, 1]]", "region.left.polygon: must be a list of numbers, not [[0, 0], [1, 0]"),
        ("left: [0, 0, 1, 0, 1, x]", "region.left.polygon: must be a list of numbers, not [0, 0, 1, 0, 1, 'x']"),
        ("left:", "region.left.polygon: must be a list of numbers, not None"),
        ("left: 1", "region.left.polygon: must be a list of numbers, not 1"),
        ("right: [0, 0, 1, 0, 1, 1]\nleft: [0]", "region.left.polygon: 1 numbers"),
        ("image: [0, 0, 1, 0, 1, 1]", "a region can't be named 'image'"),
        ("", "must be a mapping of names"),
        ("- [0, 0, 1, 0, 1, 1]", "must be a mapping of names"),
        ("left: [0, 0", "not YAML: "),
    ],
)
def test_wrong_regions_give_one_line_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path / "regions.yaml", text)
    with pytest.raises(ValueError, match="regions") as caught:
        load_regions(path)
    assert line_of(caught).startswith(f"{path}: {says}")


def test_regions_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "absent.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ValueError, match=says) as caught:
            load_regions(path)
        assert line_of(caught) == f"{path}: {says}"


def test_settings_of_options_that_were_not_given_are_empty() -> None:
    found = Options().settings()
    assert json.loads(json.dumps(found)) == found
    empty = {name: value for name, value in found.items() if not value}
    assert empty.keys() == found.keys() - {"grouping"}
    assert found["grouping"] == "cityscapes19"
    assert found["factor"] is found["rate"] is None


def test_settings_hold_the_contents_of_the_files(tmp_path: Path) -> None:
    planner = str(written(tmp_path / "planner.yaml", json.dumps(GROUPS)))
    regions = str(written(tmp_path / "regions.yaml", json.dumps(REGIONS)))
    options = given("--grouping", planner, "--regions", regions, "--labels", "front=/label", "--label-ids", "train")
    found = options.settings()
    assert json.loads(json.dumps(found)) == found
    assert (found["grouping"], found["groups"]) == ("planner", GROUPS)
    polygons = {name: [number for point in points for number in point] for name, points in found["regions"].items()}
    assert polygons == REGIONS
    assert (found["labels"], found["label_ids"]) == (["/label"], "train")


def test_settings_name_the_folder_of_labels(tmp_path: Path) -> None:
    options = given("--labels", str(tmp_path))
    assert options.labels == LabelSource(tmp_path)
    assert (options.settings()["labels"], options.settings()["label_ids"]) == ([str(tmp_path)], "label")


def test_the_factor_is_given_only_for_a_live_replay() -> None:
    assert given("--mode", "live").settings()["factor"] == 1.0
    assert given("--mode", "live", "--factor", "2.5").settings()["factor"] == 2.5
    assert given("--mode", "offline").settings()["factor"] is None


def test_the_option_node_makes_the_replay_live() -> None:
    assert given().mode == "offline"
    found = given("--node", "/segmentation")
    assert (found.mode, found.node) == ("live", "/segmentation")
    assert given("--node", "/segmentation", "--mode", "live") == found


def test_options_of_an_offline_replay_are_read() -> None:
    found = given("--against", "unet_nano", "--threads", "3", "--no-recording", "--topic", "/a", "--topic", "/b")
    assert (found.against, found.threads, found.record, found.topics) == ("unet_nano", 3, False, ("/a", "/b"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--mode offline --node /segmentation", "--node is for --mode live"),
        ("--factor 2", "--factor is for --mode live"),
        ("--mode offline --factor 0.5", "--factor is for --mode live"),
        ("--mode live --against unet_nano", "--against is for --mode offline"),
        ("--mode live --threads 2", "--threads is for --mode offline"),
        ("--mode live --no-recording", "--no-recording is for --mode offline"),
        ("--node /segmentation --no-recording", "--no-recording is for --mode offline"),
        ("--mode live --jobs 2", "--jobs and --scheduler are for --mode offline"),
        ("--mode live --scheduler tcp://host:8786", "--jobs and --scheduler are for --mode offline"),
        ("--jobs 0", "--jobs must be at least 1"),
        ("--threads -1", "--threads not negative"),
        ("--mode live --factor 0", "--factor more than 0"),
        ("--mode live --factor -1", "--factor more than 0"),
        ("--grouping nowhere.yaml", "grouping: nowhere.yaml is neither a file nor one of"),
        ("--regions nowhere.yaml", "nowhere.yaml: No such file or directory"),
        ("--labels nowhere", "labels: nowhere is neither a folder nor a topic"),
        ("--labels . --labels /front/label", "labels: give one folder, or a topic for each camera"),
        ("--scheduler tcp://head:8786", "--scheduler is for several drives"),
        ("--require work.p95<=1e999", "'work.p95<=1e999' is not METRIC>=NUMBER"),
        ("--require mIoU>=0.5", ", stages.postprocess.max, iou.road"),  # the list of metrics is whole
    ],
)
def test_options_that_exclude_each_other_give_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_end_on_signals", lambda: None)  # pytest keeps its own signal handlers
    assert command.main(["drive.mcap", "--output", "out", *arguments.split()]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert found.err.startswith("replay: ")
    assert says in found.err
    assert not Path("out").exists()


def test_ignored_pixels_are_read_from_a_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mirror.png"), np.ones((4, 4), np.uint8))
    found = load_ignored(written(tmp_path / "ignore.yaml", "front: [0 0 1 0 1 1, mirror.png]\nrear: []"))
    assert found == {"front": ("0 0 1 0 1 1", str(tmp_path / "mirror.png")), "rear": ()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("front: [0, 0]", "front: must be a list of polygons and PNGs, not [0, 0]"),
        ("front: absent.png", "front: must be a list of polygons and PNGs, not 'absent.png'"),
        ("front: [absent.png]", "front: '{folder}/absent.png' is neither a polygon"),
        ("front: [0 0 1 1]", "front: '0 0 1 1': 2 points, a polygon has at least 3"),
    ],
)
def test_wrong_ignored_pixels_give_one_line_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path / "ignore.yaml", text)
    with pytest.raises(ValueError, match="front") as caught:
        load_ignored(path)
    line = line_of(caught).removeprefix(f"{path}: ")
    assert line.startswith(says.format(folder=tmp_path))


@pytest.mark.parametrize("arguments", [[""], ["a", "--output", ""], ["a", "--baseline", ""], ["a", "--regions", ""]])
def test_an_empty_path_is_not_the_current_folder(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert "the path is empty" in capsys.readouterr().err

"""Several drives in one report: totals compared with a count over all frames, and the same figures from workers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import distributed
import jsonschema
import numpy as np
import pandas as pd
import pytest
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import GROUPINGS, ID_TO_TRAIN_ID
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.replay import __main__ as command
from unet_seg_ros.replay.run import many_drives
from unet_seg_ros.replay.source.drive import image_message
from unet_seg_ros.segmenter import Segmenter

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
FRONT, LABELS = "/front/image_raw", "/front/label"
COUNTS = {"town": 4, "two": 5, "one": 3}
FRAMES = sum(COUNTS.values())
Capture = pytest.CaptureFixture[str]
TIMES = ["work", "decode", "preprocess", "forward", "postprocess"]
ONE = ("--threads", 1)  # the number of threads could change the last digit


class Fleet(NamedTuple):
    """``sources`` are a folder and two bags; ``labelled`` is what to give the command for them with their labels from
    files; ``bags`` is a folder of the bags with their labels on a topic; ``frames`` are image and label ids of each."""

    sources: list[Path]
    labelled: list[object]
    bags: Path
    frames: dict[str, list[tuple[drives.Array, drives.Array]]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    root = tmp_path_factory.mktemp("fleet")
    found = Fleet([root / "town", root / "two", root / "one"], [], root / "bags", {})
    for seed, (name, count) in enumerate(COUNTS.items()):
        assert len(list(write_drive(DriveConfig(seed, 80, 60, 2, count / 2), root / "drawn" / name, "val"))) == count
        pairs = [(pair.image, pair.label) for pair in find_pairs(root / "drawn" / name, "val")]
        found.frames[name] = [(read_image(image), read_label(label)) for image, label in pairs if label]
    shutil.copytree(root / "drawn" / "town", root / "town")
    labels = Path(shutil.copytree(root / "town" / "gtFine", root / "labels"))
    found.bags.mkdir()
    for name, first, storage in (("one", 0, StoragePlugin.MCAP), ("two", 100, StoragePlugin.SQLITE3)):
        topics: dict[str, list[Any]] = {FRONT: [], LABELS: []}
        for index, (image, ids) in enumerate(found.frames[name], first):
            stamp = drives.STAMP + index * 10**8
            topics[FRONT].append(image_message(image, "rgb8", stamp, "front"))
            topics[LABELS].append(image_message(image, "mono8", stamp, "front"))
            topics[LABELS][-1].data, topics[LABELS][-1].step = ids.reshape(-1), ids.shape[1]
            assert cv2.imwrite(str(labels / f"front_{stamp}_labelIds.png"), ids)
        drives.write_bag(found.bags / name, topics, storage)
        drives.write_bag(root / name, {FRONT: topics[FRONT]}, storage)
    return found._replace(labelled=[*found.sources, "--labels", labels, *ONE])


def replay(output: Path, model: Path, *arguments: object) -> int:
    """Runs the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_end_on_signals", lambda: None)
        given = ["--output", output, "--model", model, "--device", "cpu", *arguments]
        return command.main([str(argument) for argument in given])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, fleet: Fleet, model: Path) -> Path:
    """Replayed one after the other in this process."""
    output = tmp_path_factory.mktemp("here")
    assert replay(output, model, *fleet.labelled) == 0
    return output


def report_of(output: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((output / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    return report


def paths(report: dict[str, Any]) -> list[str]:
    return [bag["made_by"]["bag"]["path"] for bag in report["bags"]]


def check(accuracy: dict[str, Any], fleet: Fleet, model: Path, *names: str) -> None:
    """The report equals that of all frames of these drives, to the last digit."""
    segmenter, expected = Segmenter.load(model, "cpu", 1), ConfusionMatrix(GROUPINGS["cityscapes19"])
    for image, ids in [frame for name in names for frame in fleet.frames[name]]:
        expected.update(ID_TO_TRAIN_ID[ids], segmenter([image])[0].mask)
    assert accuracy["confusion"] == expected.matrix.tolist()
    assert (accuracy["miou"], accuracy["pixel_accuracy"]) == (expected.mean_iou(), expected.pixel_accuracy())
    assert list(accuracy["iou"].values()) == [None if np.isnan(value) else value for value in expected.iou()]


def check_same(output: Path, other: Path) -> None:
    """The report without durations and paths."""
    reports = [report_of(folder) for folder in (output, other)]
    for report in reports:
        del report["made_by"]["bag"]["path"]
        for part in (report, *report["bags"]):
            del part["timing"], part["resources"]
    assert reports[0] == reports[1]
    tables = [pd.read_csv(folder / "frames.csv").drop(columns=TIMES) for folder in (output, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_the_totals_are_those_of_all_frames(here: Path, fleet: Fleet, model: Path) -> None:
    report, frames = report_of(here), pd.read_csv(here / "frames.csv")
    check(report["accuracy"], fleet, model, *COUNTS)
    assert report["accuracy"]["frames"] == FRAMES
    assert report["frames"] == {"sent": FRAMES, "received": FRAMES, "processed": FRAMES, "dropped": {}}
    assert (report["made_by"]["bag"], report["problems"]) == ({"path": str(here), "drives": 3}, [])
    assert report["timing"]["work"]["p95"] == pytest.approx(np.percentile(frames["work"], 95))
    assert report["stability"]["flicker"] == pytest.approx(frames["flicker"].sum() / (FRAMES - 3))


def test_each_drive_has_a_row_and_its_own_report(here: Path, fleet: Fleet, model: Path) -> None:
    report, frames = report_of(here), pd.read_csv(here / "frames.csv")
    assert paths(report) == [str(source) for source in fleet.sources]
    assert frames["bag"].unique().tolist() == list(COUNTS)
    page = (here / "report.html").read_text(encoding="utf-8")
    for source, bag in zip(fleet.sources, report["bags"], strict=True):
        check(bag["accuracy"], fleet, model, source.name)
        assert bag["made_by"]["bag"].pop("folder") == source.name
        assert report_of(here / source.name) == bag
        own = frames[frames["bag"] == source.name].drop(columns="bag").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, pd.read_csv(here / source.name / "frames.csv"), check_dtype=False)
        assert len(own) == bag["frames"]["processed"] == COUNTS[source.name]
        assert str(source) in page


def test_a_folder_of_bags_with_labels_on_a_topic_is_replayed(tmp_path: Path, fleet: Fleet, model: Path) -> None:
    assert replay(tmp_path, model, fleet.bags, "--labels", f"front={LABELS}", *ONE) == 0
    report = report_of(tmp_path)
    assert report["made_by"]["bag"] == {"path": str(fleet.bags), "drives": 2}
    assert paths(report) == [str(fleet.bags / "one"), str(fleet.bags / "two")]
    check(report["accuracy"], fleet, model, "one", "two")


def test_two_jobs_give_the_same_report(tmp_path: Path, here: Path, fleet: Fleet, model: Path) -> None:
    assert replay(tmp_path, model, *fleet.labelled, "--jobs", 2) == 0
    check_same(tmp_path, here)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """An address; the worker is a thread of this process."""
    where = {"protocol": "tcp", "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(1, threads_per_worker=1, processes=False, silence_logs="ERROR", **where) as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_gives_the_same_report(
    tmp_path: Path, scheduler: str, here: Path, fleet: Fleet, model: Path
) -> None:
    assert replay(tmp_path, model, *fleet.labelled, "--scheduler", scheduler) == 0
    check_same(tmp_path, here)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--scheduler tcp://127.0.0.1:1", "--scheduler tcp://127.0.0.1:1: "),
        ("--scheduler nonsense://here", "--scheduler nonsense://here: "),
        ("--mode live --jobs 2", "--jobs and --scheduler are for --mode offline"),
        ("--jobs 2", "--jobs and --scheduler need dask.distributed"),
    ],
)
def test_missing_workers_give_an_error_of_one_line(
    tmp_path: Path, fleet: Fleet, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, given: str, says: str
) -> None:
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=min(timeout, 1)))
    if given == "--jobs 2":
        monkeypatch.setitem(sys.modules, "distributed", None)  # as if the package were not installed
    assert replay(tmp_path, model, *fleet.sources, *given.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"replay: {says}")
    assert ("pip install -r requirements/cluster.txt" in line) == (given == "--jobs 2")


def test_a_drive_that_cannot_be_played_is_left_out_and_reported(
    tmp_path: Path, fleet: Fleet, model: Path, capsys: Capture
) -> None:
    missing, broken, one = tmp_path / "missing.mcap", tmp_path / "broken.mcap", fleet.bags / "one"
    broken.write_bytes(b"no bag")
    assert replay(tmp_path / "out", model, missing, one, broken, one, "--labels", LABELS, *ONE) == 2
    report = report_of(tmp_path / "out")
    assert report["problems"][0] == f"{missing}: no such file or folder"
    assert report["problems"][1].startswith(f"{broken}: cannot be read as a bag: ")
    assert (len(report["problems"]), paths(report)) == (2, [str(one)] * 2)
    assert list(report["source"]) == ["one: front", "one_2: front"]
    check(report["accuracy"], fleet, model, "one", "one")
    capsys.readouterr()
    assert replay(tmp_path / "out", model, missing, broken) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"replay: {missing}: no such file or folder; {broken}: cannot be read as a bag: ")
    assert not (tmp_path / "out" / "report.json").exists()


def test_the_verdict_uses_the_totals(tmp_path: Path, here: Path, fleet: Fleet, model: Path) -> None:
    total, frames = report_of(here), pd.read_csv(here / "frames.csv")
    for name in total["accuracy"]["iou"]:
        frames[f"intersection.{name}"] = frames[f"union.{name}"]
    frames.to_csv(tmp_path / "frames.csv", index=False)
    perfect = Path(shutil.copy(here / "report.json", tmp_path))
    miou, same = total["accuracy"]["miou"], here / "report.json"
    rules = ("--require", "dropped<=0", "--require", f"miou>={miou - 1e-6}")
    for limit, baseline, status in ((miou + 1e-6, same, 1), (0, perfect, 1), (0, same, 0)):
        given = (*rules, "--require", f"miou>={limit}", "--baseline", baseline, "--no-recording")
        assert replay(tmp_path / "out", model, *fleet.labelled, *given) == status
        report = report_of(tmp_path / "out")
        assert [check["value"] for check in report["verdict"]] == [0, miou, miou]
        assert [check["passed"] for check in report["verdict"]] == [True, True, limit == 0]
        worse = {change["metric"]: change["worse"] for change in report["baseline"]}
        accuracy = dict.fromkeys(("miou", "pixel_accuracy"), baseline == perfect)
        assert worse == {**accuracy, "flicker": False, "trust.mean": False}
        assert all(bag["verdict"] == bag["baseline"] == [] for bag in report["bags"])
        assert miou not in [bag["accuracy"]["miou"] for bag in report["bags"]]


def test_a_folder_of_bags_counts_as_several_drives(tmp_path: Path, fleet: Fleet) -> None:
    one, two, town = fleet.bags / "one", fleet.bags / "two", fleet.sources[0]
    assert many_drives.expanded([two, fleet.bags, town]) == [two, one, two, town]
    for name in ("b.mcap", "a.db3", "notes.txt"):
        (tmp_path / name).touch()
    found = [tmp_path / "a.db3", tmp_path / "b.mcap", tmp_path / "none"]
    assert many_drives.expanded([tmp_path, tmp_path / "none"]) == found


def test_other_files_and_repeated_drives_are_reported(
    tmp_path: Path, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    drives.write_video(tmp_path / "ride.avi", 2, 10.0)
    (tmp_path / "notes.txt").touch()
    for name in ("one", "two", "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            (tmp_path / name / "x.mcap").touch()
    report = tmp_path / "earlier"
    report.mkdir()
    for name in ("drive.mcap", "report.json"):
        (report / name).touch()
    assert many_drives.expanded([tmp_path]) == [tmp_path / "one", tmp_path / "two"]
    assert caplog.messages == [
        f"{tmp_path}: its bags are replayed; these are not bags and are left out: earlier, empty, ride.avi"
    ]
    one = fleet.bags / "one"
    many_drives.expanded([one, next(one.glob("*.mcap"), next(one.glob("*.db3"), one))])
    assert caplog.messages[1].endswith(f": the same drive as {one}: its frames count twice")


@pytest.mark.parametrize("names", ["/r.mcap=r /b/r=r_2 /r_2=r_2_2", "/r_2=r_2 /r=r /c/r=r_3", "/=drive /ü,é.db3=ü_é"])
def test_each_drive_has_its_own_folder(names: str) -> None:
    pairs = [pair.split("=") for pair in names.split()]
    assert many_drives.folder_names([Path(path) for path, _ in pairs]) == [name for _, name in pairs]

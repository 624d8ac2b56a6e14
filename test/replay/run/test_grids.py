"""A replay with a calibration records grids in metres and shows them beside the overlay."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.layer import project
from unet_seg_ros.ground.projection import Calibration, View
from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.ground_calibration import load_calibration
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.run.offline import replay_offline
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.source.drive import Array

FRAMES = 4


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    assert len(list(write_drive(DriveConfig(width=160, height=120, fps=5, seconds=FRAMES / 5), root, "demo"))) == FRAMES
    return root


@pytest.fixture
def calibration(town: Path) -> Path:
    return next(town.rglob("calibration.yaml"))


def options(model: Path, calibration: Path, **changes: object) -> Options:
    return Options(model=str(model), device="cpu", calibration=calibration, **changes)  # type: ignore[arg-type]


def test_the_recording_holds_the_grids_of_its_masks(town: Path, calibration: Path, model: Path, tmp_path: Path) -> None:
    replay_one(town, tmp_path, options(model, calibration), Gate())
    found: dict[str, list[object]] = {}
    with AnyReader([tmp_path / "drive.mcap"]) as reader:
        for connection, _, raw in reader.messages():
            found.setdefault(connection.topic, []).append(reader.deserialize(raw, connection.msgtype))
    settings = load_calibration(calibration, ["camera"])
    given, costs = settings.cameras["camera"], load_costs(None, CLASS_NAMES, range(19))
    assert given.camera is not None
    assert given.pose is not None
    view = View(Calibration(given.camera, given.pose), settings.grid, (120, 160))
    masks, confidences = (found[f"/segmentation/camera/{name}"] for name in ("mask", "confidence"))
    for topic in ("/segmentation/camera/ground", "/segmentation/ground"):
        grids = found[topic]
        assert len(grids) == FRAMES
        for grid, mask, confidence in zip(grids, masks, confidences, strict=True):
            pixels, sure = (np.asarray(each.data).reshape(120, 160) for each in (mask, confidence))
            cost = project(view, costs, pixels, sure, 0.5).cost
            assert (grid.info.width, grid.info.height) == (settings.grid.columns, settings.grid.rows)
            np.testing.assert_array_equal(grid.data.view(np.uint8).reshape(cost.shape), cost)
            assert (grid.header.frame_id, grid.header.stamp) == ("base_link", mask.header.stamp)


def test_the_video_shows_the_grid_beside_the_overlay(
    town: Path, calibration: Path, model: Path, tmp_path: Path
) -> None:
    def pictures(file: Path | None) -> list[Array]:
        (tmp_path / str(bool(file))).mkdir()
        _, gallery = replay_offline(town, tmp_path / str(bool(file)), options(model, file, record=False))
        return [cv2.imdecode(np.frombuffer(each.jpeg, np.uint8), cv2.IMREAD_COLOR) for each in gallery.films["camera"]]

    for plain, both in zip(pictures(None), pictures(calibration), strict=True):
        assert plain.shape == (120, 160, 3)
        assert both.shape == (120, 160 + 120, 3)  # the grid is as wide as it is long
        assert np.abs(both[:, :150].astype(int) - plain[:, :150]).mean() < 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be a parameter file"),
        ("/**: {ros__parameters: 3}", "must be a parameter file"),
        ("/**: {ros__parameters: {ground.camera.hight: 1.0}}", "ground.camera.hight.*no such parameter"),
        ("/**: {ros__parameters: {ground.camera.z: high}}", "ground.camera.z: must be a number"),
        ("/**: {ros__parameters: {ground.front.z: 1.0}}", "none of the drive's cameras"),
        ("/**: {ros__parameters: {ground.camera.z: 1.0}}", "none of the drive's cameras"),
        ("/**: {ros__parameters: {ground.resolution: 0.0}}", "ground.resolution: must be 0.01 to 10"),
    ],
)
def test_a_wrong_calibration_file_gives_an_error_of_one_line(
    text: str, says: str, town: Path, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ReplayError, match=says) as caught:
        replay_offline(town, tmp_path, options(model, file, record=False))
    assert str(file) in str(caught.value)


def test_a_calibration_of_another_size_is_reported_and_gives_no_grid(town: Path, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(
        "/**: {ros__parameters: {ground: {camera: {z: 1.5, size: [640, 640], intrinsics: [400, 400, 320, 320]}}}}"
    )
    result, _ = replay_offline(town, tmp_path, options(model, file, record=False))
    problems = [text for text in result.report["problems"] if "no grid" in text]
    assert len(problems) == 1
    assert "the images are 160×120, the calibration is for 640×640" in problems[0]

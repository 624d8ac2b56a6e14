"""The node's grids, checked from another process over real DDS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo

from test.ros.client import Client, NodeProcess, image, noise, running
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import project
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration, View
from unet_seg_ros.segmenter import Segmenter

TF = Path(__file__).parent / "tf"
FRAME = noise(1, 480, 640)
LENS = Camera(640, 480, 400, 400, 319.5, 239.5)
POSE = Pose.from_angles(1, 0, 1.5, 0, 0.1, 0)
PLACE = ("-p", "ground.camera.x:=1.0", "-p", "ground.camera.z:=1.5", "-p", "ground.camera.pitch:=0.1")
INTRINSICS = (
    *("-p", "ground.camera.size:=[640.0, 480.0]"),
    *("-p", "ground.camera.intrinsics:=[400.0, 400.0, 319.5, 239.5]"),
)
AREA = ("-p", "ground.area:=[0.0, -5.0, 10.0, 5.0]")
GRID = Grid(0, -5, 10, 5, 0.2)


def expected(model: Path) -> np.ndarray:
    """The cells that the core computes for FRAME, int8[rows, columns], -1 = unknown."""
    seen = Segmenter.load(model, "cpu", threads=1)([FRAME])[0]
    view = View(Calibration(LENS, POSE), GRID, (480, 640))
    cost = project(view, load_costs(None, CLASS_NAMES, range(19)), seen.mask, seen.confidence, 0.0).cost
    assert len(np.unique(cost)) > 2
    return cost.view(np.int8)


def cells(grid: OccupancyGrid) -> np.ndarray:
    return np.array(grid.data, np.int8).reshape(grid.info.height, grid.info.width)


def listen(client: Client, topic: str) -> list[OccupancyGrid]:
    got: list[OccupancyGrid] = []
    client.node.create_subscription(OccupancyGrid, f"/segmentation/{topic}", got.append, QoSProfile(depth=10))
    client.wait(lambda: client.node.count_subscribers(f"/segmentation/{topic}"), "the subscription is known")
    return got


def send(client: Client, publisher: Any, got: list[OccupancyGrid], sec: int) -> OccupancyGrid:
    """Publish FRAME stamped ``sec`` until a grid of it comes: the node may learn of the subscription later."""
    for _ in range(20):
        publisher.publish(image(sec, FRAME))
        client.spin(0.3)
        if any(grid.header.stamp.sec == sec for grid in got):
            return next(grid for grid in got if grid.header.stamp.sec == sec)
    raise AssertionError(f"no grid of frame {sec}")


def arguments(model: Path) -> tuple[str, ...]:
    return ("-p", f"model:={model}", "-p", "threads:=1", "-p", "confidence_threshold:=0.0", *AREA)


def test_a_calibration_in_parameters_gives_a_grid(tiny: Path) -> None:
    with running(*arguments(tiny), *PLACE, *INTRINSICS, outputs=()) as (_, client):
        publisher = client.publisher()
        fused, own = listen(client, "ground"), listen(client, "camera/ground")
        grid = send(client, publisher, fused, 5)
        assert (grid.header.frame_id, grid.header.stamp.sec, grid.header.stamp.nanosec) == ("base_link", 5, 7)
        info = grid.info
        assert (info.width, info.height, info.resolution) == (50, 50, pytest.approx(0.2))
        assert (info.origin.position.x, info.origin.position.y, info.origin.orientation.w) == (0, -5, 1)
        np.testing.assert_array_equal(cells(grid), expected(tiny))
        client.wait(lambda: own, "the camera's own grid")
        np.testing.assert_array_equal(cells(own[-1]), expected(tiny))
        assert client.diagnostic_values("ground") == {"camera": "ok"}


@pytest.fixture
def tf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tf.json"
    monkeypatch.setenv("TF_FILE", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TF), *filter(None, [os.environ.get("PYTHONPATH")])]))
    path.write_text(json.dumps({"base_link optical": [POSE.x, POSE.y, POSE.z, *POSE.quaternion]}))
    return path


def camera_info(width: int = 640, frame: str = "optical") -> CameraInfo:
    message = CameraInfo(width=width, height=480, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id = frame
    message.k = [400.0, 0.0, 319.5, 0.0, 400.0, 239.5, 0.0, 0.0, 1.0]
    return message


def problem(client: Client, publisher: Any, got: list[OccupancyGrid]) -> str:
    """The message of the diagnostics about a camera that has no grid after a frame."""
    publisher.publish(image(1, FRAME))
    client.wait(lambda: client.diagnostic_values("ground").get("camera", "ok") != "ok", "a problem in diagnostics")
    assert client.diagnostics["ground"].level == b"\x01"
    assert got == []
    return client.diagnostic_values("ground")["camera"]


def test_camera_info_and_tf_give_a_grid(tiny: Path, tf: Path) -> None:
    with running(*arguments(tiny), outputs=()) as (_, client):
        publisher, got = client.publisher(), listen(client, "ground")
        assert "no camera_info has been received" in problem(client, publisher, got)
        infos = client.node.create_publisher(CameraInfo, "/segmentation/camera/camera_info", 10)
        client.wait(infos.get_subscription_count, "the node subscribes to camera_info")
        for wrong, says in (
            (camera_info(frame="elsewhere"), "camera_info has frame_id 'elsewhere', but the images have 'optical'"),
            (camera_info(width=320), "the images are 640×480, the calibration is for 320×480"),
            (CameraInfo(width=640, height=480, header=camera_info().header), "not calibrated"),
            (CameraInfo(width=640, height=480, header=camera_info().header, k=[np.nan] * 9), "must be finite"),
        ):
            infos.publish(wrong)
            client.spin(0.2)
            assert says in problem(client, publisher, got)
        infos.publish(camera_info())
        client.spin(0.2)
        grid = send(client, publisher, got, 5)
        np.testing.assert_array_equal(cells(grid), expected(tiny))
        assert client.diagnostic_values("ground") == {"camera": "ok"}


def test_without_a_transform_there_is_no_grid(tiny: Path, tf: Path) -> None:
    tf.write_text("{}")
    with running(*arguments(tiny), *INTRINSICS, outputs=()) as (_, client):
        publisher, got = client.publisher(), listen(client, "ground")
        assert "TF has no transform from 'optical' to 'base_link'" in problem(client, publisher, got)


@pytest.mark.parametrize(
    ("frame_id", "says"), [("", "the images have no frame_id"), ("/optical", "TF has no transform from '/optical'")]
)
def test_with_a_frame_id_that_tf_refuses_masks_are_still_published(
    tiny: Path, tf: Path, frame_id: str, says: str
) -> None:
    with running(*arguments(tiny), *INTRINSICS, outputs=("mask",)) as (_, client):
        publisher, got = client.publisher(), listen(client, "ground")
        message = image(1, FRAME)
        message.header.frame_id = frame_id
        publisher.publish(message)
        client.result("camera", "mask", 1)
        client.wait(lambda: says in client.diagnostic_values("ground").get("camera", ""), "a problem in diagnostics")
        assert got == []
        assert client.camera_values()["dropped"] == "0"


def test_without_tf2_ros_the_node_says_what_to_set(tiny: Path) -> None:
    with running(*arguments(tiny), *INTRINSICS, outputs=()) as (_, client):
        publisher, got = client.publisher(), listen(client, "ground")
        assert "tf2_ros is not installed, and the pose ground.camera.z" in problem(client, publisher, got)


def test_with_odometry_cells_that_were_seen_are_remembered(tiny: Path, tf: Path) -> None:
    """The car drives 1 m a second: after a second, the cells are those seen now, then those seen before, 5 farther."""
    known = json.loads(tf.read_text())
    tf.write_text(json.dumps({**known, "odom base_link": [1, 0, 0, 0, 0, 0, 1]}))
    with running(*arguments(tiny), *INTRINSICS, "-p", "ground.memory:=1.5", outputs=()) as (_, client):
        publisher, got = client.publisher(), listen(client, "ground")
        send(client, publisher, got, 5)
        now = cells(send(client, publisher, got, 6))
        seen = expected(tiny)
        before = np.full_like(seen, UNKNOWN.__index__() - 256)
        before[:, :-5] = seen[:, 5:]
        np.testing.assert_array_equal(now, np.where(seen == -1, before, seen))
        assert ((seen == -1) & (before != -1)).any()
        np.testing.assert_array_equal(cells(send(client, publisher, got, 60)), seen)  # forgotten


def test_odometry_that_is_not_finite_is_ignored(tiny: Path, tf: Path) -> None:
    known = json.loads(tf.read_text())
    tf.write_text(json.dumps({**known, "odom base_link": [float("nan"), 0, 0, 0, 0, 0, 1]}))
    with running(*arguments(tiny), *INTRINSICS, "-p", "ground.memory:=1.5", outputs=()) as (node, client):
        publisher, got = client.publisher(), listen(client, "ground")
        np.testing.assert_array_equal(cells(send(client, publisher, got, 5)), expected(tiny))
        assert "Traceback" not in node.log


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("ground.camera.intrinsics:=[400.0, 400.0]", "ground.camera: size must be the two whole numbers"),
        ("ground.camera.z:=-1.0", "ground.camera: the camera is -1 m above the ground"),
        ("ground.frame:=''", "ground.frame: must be the name of a TF frame, such as base_link, not empty"),
        ("ground.odometry_frame:=/odom", "a TF frame has no slash at its beginning, but this is '/odom'"),
        ("ground.area:=[0.0, 1.0]", "ground.area: must be the four numbers"),
        ("ground.costs:=/nowhere.yaml", "/nowhere.yaml: No such file"),
    ],
)
def test_a_wrong_parameter_is_named(tiny: Path, argument: str, says: str) -> None:
    node = NodeProcess("-p", f"model:={tiny}", "-p", argument)
    client = Client((), ())
    try:
        client.wait(lambda: says in node.log, says)
    finally:
        client.close()
        node.stop()

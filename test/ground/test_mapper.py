from __future__ import annotations

import numpy as np
import pytest

from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.camera import CalibrationError, Camera
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import Layer
from unet_seg_ros.ground.mapper import Mapper
from unet_seg_ros.ground.motion import Place
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration

COSTS = load_costs(None, CLASS_NAMES, range(19))
GRID = Grid(0, -2, 4, 2, 1)
CALIBRATION = Calibration(Camera(640, 480, 400, 400, 319.5, 239.5), Pose.from_angles(0, 0, 1.5, 0, 0.3, 0))


def only(row: int, column: int, cost: int) -> Layer:
    layer = Layer(np.full(GRID.shape, UNKNOWN, np.uint8), np.zeros(GRID.shape, np.float32))
    layer.cost[row, column], layer.weight[row, column] = cost, 0.5
    return layer


def test_frames_of_two_cameras_near_in_time_are_merged() -> None:
    mapper = Mapper(GRID, COSTS)
    mapper.add("left", only(3, 1, 60), 10.0)
    both = mapper.add("right", only(0, 1, 70), 10.15)
    assert (both[3, 1], both[0, 1]) == (60, 70)
    later = mapper.add("right", only(0, 1, 70), 10.4)
    assert (later[3, 1], later[0, 1]) == (UNKNOWN, 70)


def test_the_layer_of_another_camera_is_moved_with_the_car() -> None:
    mapper = Mapper(GRID, COSTS)
    mapper.add("left", only(3, 2, 60), 10.0, Place(5, 5, 0))
    both = mapper.add("right", only(0, 1, 70), 10.1, Place(6, 5, 0))
    assert both[3, 1] == 60
    assert both[3, 2] == UNKNOWN


def test_without_a_place_nothing_is_remembered() -> None:
    mapper = Mapper(GRID, COSTS, memory=5.0)
    mapper.add("camera", only(1, 1, 60), 0.0)
    assert mapper.add("camera", only(2, 2, 70), 1.0)[1, 1] == UNKNOWN


def test_with_a_place_cells_are_remembered() -> None:
    mapper = Mapper(GRID, COSTS, memory=5.0)
    mapper.add("camera", only(1, 2, 60), 0.0, Place(0, 0, 0))
    assert mapper.add("camera", only(2, 2, 70), 1.0, Place(1, 0, 0))[1, 1] == 60


def test_the_lookup_is_renewed_for_another_size_or_calibration() -> None:
    mapper = Mapper(GRID, COSTS)
    for size in ((480, 640), (240, 320), (480, 640)):
        mask = np.zeros(size, np.uint8)
        assert (mapper.layer("camera", CALIBRATION, mask, mask + 255, 0.5).cost == 0).any()
    turned = Calibration(CALIBRATION.camera, Pose.from_angles(0, 0, 1.5, 0, 0.3, np.pi))
    with pytest.raises(CalibrationError, match="sees nothing"):
        mapper.layer("camera", turned, mask, mask + 255, 0.5)


def test_a_frame_of_another_shape_is_refused() -> None:
    mask = np.zeros((480, 480), np.uint8)
    with pytest.raises(CalibrationError, match="images are 480×480"):
        Mapper(GRID, COSTS).layer("camera", CALIBRATION, mask, mask, 0.5)

from __future__ import annotations

import numpy as np
import pytest

from test.ground.scene import CAR, ROAD, SKY, STREET, Box, iou, picture, truth
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.fusion import fuse
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import Layer, project
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration, View

COSTS = load_costs(None, CLASS_NAMES, range(19))
U = UNKNOWN

# A level camera, 1 m high, focal length 10 pixels: the pixel (u, v) sees x = 10 / v, y = (5 - u) / v. The cells of 1 m:
TINY = Camera(11, 11, 10, 10, 5, 0)
LEVEL = Pose.from_angles(0, 0, 1, 0, 0, 0)
SIX = Grid(0, -1.5, 6, 1.5, 1)


def tiny(mask: np.ndarray, confidence: np.ndarray | None = None, threshold: float = 0.5) -> Layer:
    view = View(Calibration(TINY, LEVEL), SIX, (11, 11))
    return project(view, COSTS, mask, np.full((11, 11), 255, np.uint8) if confidence is None else confidence, threshold)


def road() -> np.ndarray:
    return np.full((11, 11), ROAD, np.uint8)


def test_the_road_by_hand() -> None:
    """x = 0.5 is below the image and (1.5, ±1) beside it; x = 5.5 covers 0.6 pixels, x = 4.5 covers 1.1."""
    layer = tiny(road())
    assert layer.cost.tolist() == [[U, U, 0, 0, 0, U], [U, 0, 0, 0, 0, U], [U, U, 0, 0, 0, U]]
    assert (layer.weight > 0).tolist() == (layer.cost != U).tolist()
    pixels = 100 / 2.5**3  # f² h / x³
    assert layer.weight[1, 2] == pytest.approx(pixels / (pixels + 1), rel=0.02)


def test_an_object_marks_its_foot_and_hides_the_cells_behind() -> None:
    """A car in the middle column down to row 3: its foot is at row 3.5, x = 2.86 m, and half a metre deep."""
    mask = road()
    mask[:4, 5] = CAR
    assert tiny(mask).cost.tolist() == [[U, U, 0, 0, 0, U], [U, 0, 100, 100, U, U], [U, U, 0, 0, 0, U]]


def test_an_object_that_reaches_the_lower_border_has_no_foot() -> None:
    mask = road()
    mask[:, 5] = CAR
    assert (tiny(mask).cost[1] == U).all()


@pytest.mark.parametrize("between", [SKY, 255])
def test_an_object_above_sky_or_void_has_no_foot(between: int) -> None:
    mask = road()
    mask[:4, 5], mask[4, 5] = CAR, between
    assert tiny(mask).cost[1].tolist() == [U, 0, U, U, U, U]


def test_the_cars_own_bonnet_is_unknown() -> None:
    """Ignored pixels are 255 in the mask."""
    mask = road()
    mask[4:] = 255
    assert tiny(mask).cost[1].tolist() == [U, U, U, 0, 0, U]


def test_an_object_hides_the_foot_of_the_one_behind() -> None:
    mask = road()
    mask[:2, 5], mask[2:4, 5] = 2, 11  # a building, and a person before it
    assert tiny(mask).cost[1].tolist() == [U, 0, 100, 100, U, U]


def test_ground_above_a_low_object_is_ground() -> None:
    mask = road()
    mask[3, 5] = CAR
    assert tiny(mask).cost[1].tolist() == [U, 0, 100, 100, 0, U]


def test_cells_of_low_confidence_are_unknown() -> None:
    confidence = np.full((11, 11), 255, np.uint8)
    confidence[4, 5] = 127  # the pixel of x = 2.5 m
    assert tiny(road(), confidence, 0.5).cost[1].tolist() == [U, 0, U, 0, 0, U]
    assert tiny(road(), confidence, 0.49).cost[1].tolist() == [U, 0, 0, 0, 0, U]
    assert (tiny(road(), 0 * confidence, 0.5).cost == U).all()


def test_a_foot_has_the_confidence_of_the_object_above_it() -> None:
    """Confidence is always low at the border between two classes; only an object of low confidence has no foot."""
    mask = road()
    mask[:4, 5] = CAR
    confidence = np.full((11, 11), 204, np.uint8)
    confidence[3:5, 5] = 10
    layer = tiny(mask, confidence)
    assert layer.cost[1].tolist() == [U, 0, 100, 100, U, U]
    assert layer.weight[1, 3] == pytest.approx(0.8 * tiny(mask).weight[1, 3])
    confidence[:5, 5] = 10
    assert (tiny(mask, confidence).cost[1, 2:] == U).all()


def test_costs_and_weights_follow_class_and_confidence() -> None:
    mask = np.full((11, 11), 1, np.uint8)
    mask[:, 6:] = 9
    layer = tiny(mask, np.full((11, 11), 153, np.uint8))
    assert layer.cost[0, 2:5].tolist() == [70, 70, 70]  # terrain to the right
    assert layer.cost[2, 2:5].tolist() == [60, 60, 60]  # sidewalk to the left
    assert np.allclose(layer.weight, 0.6 * tiny(mask).weight)


def test_a_mask_of_another_size_is_refused() -> None:
    view = View(Calibration(TINY, LEVEL), SIX, (11, 11))
    with pytest.raises(ValueError, match=r"must be \(11, 11\)"):
        project(view, COSTS, np.zeros((11, 12), np.uint8), np.zeros((11, 12), np.uint8), 0.5)


def camera(width: int, height: int, focal: float, model: str = "plumb_bob", lens: tuple[float, ...] = ()) -> Camera:
    return Camera(width, height, focal, focal, width / 2 + 2.5, height / 2 - 2.5, model, lens)


SCENES = {
    "flat": (camera(1280, 720, 1000), Pose.from_angles(0, 0, 1.5, 0, 0, 0)),
    "flat, a small image": (camera(480, 360, 415), Pose.from_angles(0, 0, 1.5, 0, 0, 0)),
    "pitched, beside the middle": (camera(1280, 720, 1000), Pose.from_angles(0.5, 0.2, 1.6, 0, 0.2, 0.05)),
    "rolled": (camera(1280, 720, 900), Pose.from_angles(0.5, 0.2, 1.6, 0.2, 0.1, 0)),
    "upright format": (camera(1280, 720, 900), Pose.from_angles(0.5, 0.2, 1.6, np.pi / 2, 0.1, 0)),
    "plumb_bob": (camera(1280, 720, 800, "plumb_bob", (-0.3, 0.1, 0.001, -0.001, -0.01)),
                  Pose.from_angles(0, 0, 1.6, 0.02, 0.1, 0)),
    "rational": (camera(1280, 720, 800, "rational_polynomial", (0.5, 0.1, 0.001, -0.001, 0.01, 0.9, 0.3, 0.02)),
                 Pose.from_angles(0, 0, 1.6, 0.02, 0.1, 0)),
    "fisheye": (camera(1280, 960, 420, "equidistant", (-0.02, 0.003, -0.001, 0.0002)),
                Pose.from_angles(0, 0, 1.6, 0.02, 0.3, 0)),
}  # fmt: skip
AROUND = Grid(-8, -10, 20, 10, 0.2)


def seen(lens: Camera, pose: Pose) -> tuple[Layer, np.ndarray]:
    """The layer of the street's true mask, and its true grid where the cells are large enough to be known."""
    mask = picture(lens, pose)
    view = View(Calibration(lens, pose), AROUND, mask.shape)
    layer = project(view, COSTS, mask, np.full_like(mask, 255), 0.5)
    true = truth(AROUND, lens, pose)
    true[view.share.reshape(true.shape) == 0] = UNKNOWN
    return layer, true


@pytest.mark.parametrize("name", SCENES)
def test_true_masks_give_a_grid_close_to_the_true_one(name: str) -> None:
    layer, true = seen(*SCENES[name])
    assert (true == 100).sum() > 100
    assert iou(layer.cost == 0, true == 0) >= 0.95
    assert iou(layer.cost == 100, true == 100) >= 0.85
    assert iou(layer.cost == 60, true == 60) >= 0.9


def test_two_cameras_give_the_grid_of_both() -> None:
    views = [
        (camera(1280, 720, 800), Pose.from_angles(1, y, 1.5, 0, 0.1, yaw)) for y, yaw in ((0.5, 0.5), (-0.5, -0.5))
    ]
    (left, true_left), (right, true_right) = (seen(*view) for view in views)
    assert ((left.cost != UNKNOWN) & (right.cost != UNKNOWN)).sum() > 500
    together = fuse([left, right])
    true = np.where(true_left == UNKNOWN, true_right, true_left)
    true[(true_left == 100) | (true_right == 100)] = 100
    assert iou(together == 0, true == 0) >= 0.95
    assert iou(together == 100, true == 100) >= 0.85


def test_cells_behind_an_object_are_unknown() -> None:
    """Behind a box as high as a wall no cell is occupied or free, because the box hides the cells."""
    box = (Box(8, 0, 1, 3, 9),)
    lens, pose = camera(1280, 720, 1000), Pose.from_angles(0, 0, 1.5, 0, 0, 0)
    mask = picture(lens, pose, box)
    grid = Grid(4, -1, 20, 1, 0.2)
    layer = project(View(Calibration(lens, pose), grid, mask.shape), COSTS, mask, np.full_like(mask, 255), 0.5)
    x = grid.points().reshape(*grid.shape, 3)[..., 0]
    assert (layer.cost[x > 8.2] == UNKNOWN).all()
    assert (layer.cost[(x > 7.6) & (x < 8.0)] == 100).all()
    assert (layer.cost[x < 7.4] != 100).all()


def test_the_test_street_has_all_kinds_of_objects() -> None:
    assert {box.label for box in STREET} == {2, 11, 13}

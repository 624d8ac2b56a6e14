from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.true_grid import finer, intersection_and_union, true_grid
from training.synthetic import Drive, DriveConfig, write_drive
from unet_seg_ros.data.labels import CLASS_NAMES, ID_TO_TRAIN_ID
from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.layer import project
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration, View
from unet_seg_ros.replay.ground_calibration import load_calibration

GRID = Grid()
COSTS = load_costs(None, CLASS_NAMES, range(19))


def test_the_grid_of_true_masks_equals_the_towns_ground() -> None:
    """Up to 10 m, where a pixel is smaller than a cell; over a whole grid see ``python -m benchmarks.ground``."""
    counts = np.zeros((2, 2))
    for seed in (101, 102):
        drive = Drive(DriveConfig(seed, 1280, 960, fps=0.5, seconds=4))
        lens = drive.lens
        for scene in drive.scenes():
            true = true_grid(GRID, lens, scene.pose, drive.render(scene, finer(lens)).label)
            mask = ID_TO_TRAIN_ID[drive.render(scene, lens).label]
            camera = Camera(lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy)
            pose = Pose.from_angles(0, 0, scene.pose.height, 0, scene.pose.pitch, 0)
            view = View(Calibration(camera, pose), GRID, mask.shape)
            cost = project(view, COSTS, mask, np.full_like(mask, 255), 0.5).cost
            near = np.hypot(*GRID.points()[:, :2].T).reshape(GRID.shape) < 10
            counts += [intersection_and_union(cost, true, kind, near) for kind in (0, 100)]
    free, foot = counts[:, 0] / counts[:, 1]
    assert counts[1, 1] > 50
    assert free >= 0.95
    assert foot >= 0.85


def test_the_calibration_file_of_a_drive_describes_its_camera(tmp_path: Path) -> None:
    config = DriveConfig(seed=3, width=64, height=48, fps=1, seconds=1)
    list(write_drive(config, tmp_path))
    drive = Drive(config)
    path = tmp_path / "leftImg8bit" / "train" / "town0003" / "calibration.yaml"
    given = load_calibration(path, ["camera"]).cameras["camera"]
    lens = drive.lens
    assert given.camera == Camera(64, 48, lens.fx, lens.fy, lens.cx, lens.cy)
    assert given.pose == Pose.from_angles(0, 0, drive.height, 0, drive.pitch, 0)

"""Measures the time and the accuracy of the grid on the ground: ``python -m benchmarks.ground [BUNDLE]``.

Time: from a mask to a grid of 200×200 cells. The baseline warps the mask to the ground by a homography
(``cv2.warpPerspective``), without feet, confidence and distortion. Accuracy: on drives through the synthetic town, the
grids from true masks and from the bundle's masks are compared with the geometry of the town, as IoU of the free cells
and of the cells with a foot, up to several distances.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.true_grid import finer, intersection_and_union, true_grid
from training.synthetic import Drive, DriveConfig, Scene
from unet_seg_ros.data.labels import CLASS_NAMES, ID_TO_TRAIN_ID
from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.costs import Costs, load_costs
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.layer import project
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration, View
from unet_seg_ros.segmenter import Segmenter

SIZES = ((480, 360), (1280, 720), (2048, 1024))
ROUNDS = 200
SEEDS = range(100, 106)
LIMITS = (10, 15, 20, 50)
GRID = Grid()
Mask = NDArray[np.uint8]


def view_of(drive: Drive, pitch: float) -> View:
    """The view of a drive's camera with this pitch on ``GRID``."""
    lens = drive.lens
    camera = Camera(lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy)
    pose = Pose.from_angles(0, 0, drive.height, 0, pitch, 0)
    return View(Calibration(camera, pose), GRID, (lens.height, lens.width))


def homography(view: View, lens: Camera, height: float, pitch: float) -> NDArray[np.float64]:
    """The homography from cells (column, row) to pixels, float64[3, 3]."""
    cos, sin = np.cos(pitch), np.sin(pitch)
    cell = np.array([[GRID.resolution, 0, GRID.x_min], [0, GRID.resolution, GRID.y_min], [0, 0, 1]])
    to_camera = np.array([[0, -1, 0], [-sin, 0, height * cos], [cos, 0, height * sin]])
    return np.asarray(view.camera.matrix @ to_camera @ cell)


def speed(costs: Costs) -> None:
    print(f"{'image':>10}  {'way':<10}  {'p50 ms':>7}  {'p95 ms':>7}  {'ratio':>6}")
    for width, height in SIZES:
        drive = Drive(DriveConfig(seed=100, width=width, height=height, fps=1, seconds=1))
        scene = next(drive.scenes())
        start = perf_counter()
        view = view_of(drive, drive.pitch)
        built = 1000 * (perf_counter() - start)
        mask = ID_TO_TRAIN_ID[drive.render(scene, drive.lens).label]
        sure = np.full_like(mask, 230)
        matrix = homography(view, view.camera, drive.height, drive.pitch)
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        times: dict[str, list[float]] = {"grid": [], "homography": []}
        for _ in range(ROUNDS):
            start = perf_counter()
            project(view, costs, mask, sure, 0.5)
            between = perf_counter()
            cv2.LUT(cv2.warpPerspective(mask, matrix, (GRID.columns, GRID.rows), flags=flags), costs.cost)
            times["grid"].append(1000 * (between - start))
            times["homography"].append(1000 * (perf_counter() - between))
        median = float(np.median(times["homography"]))
        for name, values in times.items():
            p50, p95 = np.percentile(values, (50, 95))
            print(f"{width}×{height:<5}  {name:<10}  {p50:7.2f}  {p95:7.2f}  {p50 / median:6.1f}")
        print(f"{'':>10}  the tables of the projection are made once in {built:.0f} ms")


def drives(width: int, height: int) -> Iterator[tuple[Drive, Scene]]:
    """Three moments of each drive, four seconds apart."""
    for seed in SEEDS:
        drive = Drive(DriveConfig(seed=seed, width=width, height=height, fps=0.25, seconds=12))
        for scene in drive.scenes():
            yield drive, scene


def accuracy(costs: Costs, segmenter: Segmenter, width: int, height: int) -> None:
    distance = np.hypot(*GRID.points()[:, :2].T).reshape(GRID.shape)
    ways = ("true masks", "true masks, car level", segmenter.model_id)
    counts = {way: np.zeros((len(LIMITS), 2, 2)) for way in ways}
    for drive, scene in drives(width, height):
        raster = drive.render(scene, drive.lens)
        true = true_grid(GRID, drive.lens, scene.pose, drive.render(scene, finer(drive.lens)).label)
        image = drive.weather.expose(raster.image, raster.label, drive.rng)
        mask = ID_TO_TRAIN_ID[raster.label]
        sure = np.full_like(mask, 255)
        exact, level = (view_of(drive, pitch) for pitch in (scene.pose.pitch, drive.pitch))
        seen = segmenter([image])[0]
        for way, (view, one, confidence) in zip(
            ways, ((exact, mask, sure), (level, mask, sure), (exact, seen.mask, seen.confidence)), strict=True
        ):
            cost = project(view, costs, one, confidence, 0.5).cost
            for i, limit in enumerate(LIMITS):
                for j, kind in enumerate((0, 100)):
                    counts[way][i, j] += intersection_and_union(cost, true, kind, distance < limit)
    for way, found in counts.items():
        ious = found[..., 0] / found[..., 1]
        figures = "  ".join(f"{free:6.3f} {foot:6.3f}" for free, foot in ious)
        print(f"{width}×{height:<5}  {way:<24}  {figures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    segmenter = Segmenter.load(parser.parse_args().bundle)
    costs = load_costs(None, CLASS_NAMES, range(len(CLASS_NAMES)))
    speed(costs)
    print(f"\nIoU of free cells and of feet in {len(SEEDS)} drives, up to {', '.join(map(str, LIMITS))} m")
    for width, height in ((480, 360), (1280, 720)):
        accuracy(costs, segmenter, width, height)


if __name__ == "__main__":
    main()

"""Render drives through a synthetic town, with exact labels: ``python -m training.synthetic OUTPUT --drives 20``.

Each drive has its own street, weather and camera, made from its seed. The same configuration gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.interruption import end_in_one_line
from training.town.ground import BLOCK
from training.town.raster import Camera, Pose, Raster
from training.town.vehicles import Mesh
from training.town.weather import Weather
from training.town.world import VIEW, Thing, Town
from unet_seg_ros.data.cityscapes import frame_name, image_path, label_path
from unet_seg_ros.data.image_files import write_image
from unet_seg_ros.files import write_atomically
from unet_seg_ros.text import never_fail_to_print

MAX_DRIVES = 10_000
LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "width": (32, 8192),
    "height": (32, 8192),
    "fps": (0.01, 240),
    "seconds": (0.01, 3600),
}
NEAREST = 1.0
"""Flat objects that are nearer than this, in metres, are not drawn."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class DriveConfig:
    """A drive: frames of ``width`` × ``height`` pixels, ``fps`` per second for ``seconds``; at least one frame."""

    seed: int = 0
    width: int = 640
    height: int = 480
    fps: float = 10.0
    seconds: float = 10.0

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            whole = name in ("seed", "width", "height")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise ValueError(f"{name} must be {'a whole number' if whole else 'a number'}, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value}")

    @property
    def frames(self) -> int:
        """The number of frames of the drive."""
        return max(1, round(self.fps * self.seconds))


class TownFrame(NamedTuple):
    """``image``: uint8[H, W, 3] RGB; ``label``: uint8[H, W] Cityscapes label ids; ``stamp_ns``: ns since the start."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    stamp_ns: int


def _rng(config: DriveConfig, stream: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, 2, stream])


def camera(config: DriveConfig) -> Camera:
    """The intrinsics of the drive's camera: field of view 50° to 80°, square pixels."""
    view = np.deg2rad(_rng(config, 0).uniform(50, 80))
    focal = config.width / 2 / float(np.tan(view / 2))
    return Camera(focal, focal, (config.width - 1) / 2, (config.height - 1) / 2, config.width, config.height)


def _pose(town: Town, ego: tuple[float, float, float], height: float, pitch: float) -> tuple[Pose, float]:
    """The camera's pose and its heading (radians to the right of the map's y axis)."""
    s, t, yaw = ego
    along = np.arange(s - 40, s + VIEW + 60)
    x, z = town.path(along)
    x0, z0 = town.path(np.array([s]))
    turn, heading = float(town.heading(s)), float(town.heading(s)) + yaw
    x, z = x - x0 - t * np.cos(turn), z - z0 + t * np.sin(turn)
    cos, sin = np.cos(heading), np.sin(heading)
    return Pose(along, x * cos - z * sin, x * sin + z * cos, town.heading(along) - heading, height, pitch), heading


def _local(points: Array, s: float, t: float, yaw: float) -> Array:
    """Points (forward, right, up) of an object that stands at (s, t), turned by ``yaw``, in street coordinates."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    forward, right = points[:, 0], points[:, 1]
    return np.stack([s + forward * cos - right * sin, t + forward * sin + right * cos, points[:, 2]], 1)


def _footprint(thing: Thing) -> Array:
    """The outline of a thing's shadow (forward, right, 0), float[n, 3]."""
    if isinstance(thing.look, Mesh):
        long, wide = thing.look.length / 2 + 0.1, thing.look.width / 2 + 0.1
        return np.array([(-long, -wide, 0), (-long, wide, 0), (long, wide, 0), (long, -wide, 0)], np.float64)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    return np.stack([0.2 * np.cos(angle), min(0.35, thing.width / 4) * np.sin(angle), 0 * angle], 1)


def _draw_thing(raster: Raster, thing: Thing, spot: tuple[float, float], foot: Array, time: float, sun: Array) -> None:
    """Draw the thing that stands at ``spot`` (s, t); ``foot`` is that point in camera coordinates, float[3]."""
    distance = float(np.hypot(foot[0], foot[2]))
    if isinstance(thing.look, Mesh):
        mesh = thing.look
        points = raster.pose.place(_local(mesh.vertices, *spot, thing.yaw))
        light = 0.72 + 0.3 * _local(mesh.normals, 0, 0, thing.yaw) @ sun
        raster.mesh(points, mesh.starts, mesh.colors * light[:, None], mesh.label, distance)
    elif foot[2] > NEAREST:
        moves = thing.speed or thing.drift
        texture = thing.look[int(time * 5 + thing.s) % len(thing.look) if moves else 0]
        raster.picture(foot, thing.width, thing.height, texture, distance)


def _draw(raster: Raster, town: Town, ego: tuple[float, float, float], time: float) -> None:
    """Draw the ground, the shadows, and then everything else from far to near."""
    blocks, ground = town.blocks(ego[0])
    raster.ground(ground)
    place, eye = raster.pose.place, np.array([ego[0], ego[1], raster.pose.height])
    panels = [panel for block in blocks for panel in block.panels]
    corners = place(np.concatenate([panel.corners for panel in panels])).reshape(-1, 3, 3)
    quads = np.concatenate([corners, corners[:, 1:2] + corners[:, 2:] - corners[:, :1]], 1)
    far = np.hypot(quads[..., 0], quads[..., 2]).max(1)
    order = [(float(far[i]), 0, int(i)) for i in np.flatnonzero(raster.sees(quads) & (far < VIEW + BLOCK))]

    things = [*town.traffic, *(thing for block in blocks for thing in block.things)]
    spots = np.array([(*thing.at(time, ego[0]), 0.0) for thing in things])
    feet = place(spots)
    reach = np.array([max(thing.width, thing.look.length if isinstance(thing.look, Mesh) else 0) for thing in things])
    ends = np.stack([feet + np.outer(reach, way) for way in ((-1, 0, 1), (1, 0, 1), (1, 0, -1), (-1, 0, -1))], 1)
    visible = raster.sees(ends) & (np.abs(spots[:, 0] - ego[0]) < VIEW)
    for i in np.flatnonzero(visible & (feet[:, 2] < 60)).tolist():
        outline = _local(_footprint(things[i]), float(spots[i, 0]), float(spots[i, 1]), things[i].yaw)
        raster.shadow(place(outline), min(0.7, town.surface.shadow))
    order += [(float(np.hypot(feet[i, 0], feet[i, 2])), 1, int(i)) for i in np.flatnonzero(visible)]
    for distance, kind, i in sorted(order, reverse=True):
        if kind == 0:
            raster.panel(corners[i], panels[i].texture, distance, panels[i].light(town.sun, eye))
        else:
            _draw_thing(raster, things[i], (float(spots[i, 0]), float(spots[i, 1])), feet[i], time, town.sun)


class Scene(NamedTuple):
    """A moment of a drive: the car's position (s, t, yaw), the camera's pose over the ground, its heading (radians to
    the right of the map's y axis), and the time in seconds."""

    ego: tuple[float, float, float]
    pose: Pose
    heading: float
    time: float


class Drive:
    """A drive's town, camera and weather. ``height`` is the camera's in metres. ``pitch`` is its mean pitch in radians,
    positive looks down; the car's bouncing changes it by up to ``bounce``."""

    def __init__(self, config: DriveConfig) -> None:
        self.config = config
        self.town, self.lens, self.rng = Town(config.seed, config.seconds), camera(config), _rng(config, 1)
        self.weather = Weather(self.rng, (config.height, config.width))
        spans = ((1.2, 1.9), (-0.05, 0.06), (0, 0.004))
        self.height, self.pitch, self.bounce = (float(self.rng.uniform(*span)) for span in spans)

    def scenes(self) -> Iterator[Scene]:
        """The moments of the frames, in order."""
        for index in range(self.config.frames):
            time = index / self.config.fps
            ego = self.town.ego(time)
            pitch = self.pitch + self.bounce * float(np.sin(9 * time))
            yield Scene(ego, *_pose(self.town, ego, self.height, pitch), time)

    def render(self, scene: Scene, lens: Camera) -> Raster:
        """The colours and labels that a camera like ``lens`` sees at a moment."""
        raster = Raster(lens, scene.pose, self.weather.haze, self.weather.sight)
        self.weather.backdrop(raster, scene.heading)
        _draw(raster, self.town, scene.ego, scene.time)
        return raster

    def frames(self) -> Iterator[TownFrame]:
        """The frames, in order."""
        for scene in self.scenes():
            raster = self.render(scene, self.lens)
            image = self.weather.expose(raster.image, raster.label, self.rng)
            yield TownFrame(image, raster.label, round(scene.time * 1e9))

    def calibration(self) -> str:
        """The camera's pose as a parameter file of the node. The car's frame is on the ground under the camera."""
        lens = self.lens
        return (
            "# The camera of a synthetic drive. The node takes it with --params-file, the replay with --calibration.\n"
            "/**:\n"
            "  ros__parameters:\n"
            f"    ground.camera.size: [{lens.width:.1f}, {lens.height:.1f}]\n"
            f"    ground.camera.intrinsics: [{lens.fx!r}, {lens.fy!r}, {lens.cx!r}, {lens.cy!r}]\n"
            f"    ground.camera.z: {self.height!r}\n"
            f"    ground.camera.pitch: {self.pitch!r}\n"
        )


def drive(config: DriveConfig) -> Iterator[TownFrame]:
    """The frames of a drive, in order."""
    return Drive(config).frames()


def write_drive(config: DriveConfig, root: Path, split: str = "train") -> Iterator[str]:
    """Write a drive in the Cityscapes layout under ``root``; yields the name of each frame when it is on disk.

    The city is named after the drive: ``town0007`` for seed 7. The folder of the images also holds the camera's
    intrinsics in ``camera.json``, and intrinsics and pose in ``calibration.yaml``, a parameter file for node and
    replay.
    """
    city = f"town{config.seed:04d}"
    made = Drive(config)
    folder = image_path(root, split, city, "").parent
    write_atomically(folder / "camera.json", json.dumps(asdict(made.lens), indent=2) + "\n")
    write_atomically(folder / "calibration.yaml", made.calibration())
    for index, frame in enumerate(made.frames()):
        name = frame_name(city, index)
        write_image(image_path(root, split, city, name), frame.image)
        write_image(label_path(root, split, city, name), frame.label)
        yield name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: several drives with consecutive seeds."""
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(prog="python -m training.synthetic", description=__doc__)
    parser.add_argument("output", type=Path, help="folder to write, in the Cityscapes layout")
    parser.add_argument("--split", default="train")
    parser.add_argument("--drives", type=int, default=1, help="number of drives; their seeds are SEED, SEED + 1, …")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first drive")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each drive in seconds")
    options = parser.parse_args(arguments)
    if not 1 <= options.drives <= MAX_DRIVES:
        parser.error(f"--drives must be 1 to {MAX_DRIVES}, not {options.drives}")
    if not options.split or Path(options.split).name != options.split or options.split.startswith("."):
        parser.error(f"--split must be the name of a folder, such as train, not {options.split!r}")
    try:
        configs = [
            DriveConfig(options.seed + i, options.width, options.height, options.fps, options.seconds)
            for i in range(options.drives)
        ]
    except ValueError as error:
        parser.error(str(error))
    try:
        with tqdm(total=sum(config.frames for config in configs), unit="frame") as bar:
            for config in configs:
                for _ in write_drive(config, options.output, options.split):
                    bar.update()
    except OSError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

"""Drives through a synthetic town, with exact labels: ``python -m training.synthetic OUTPUT --drives 20``.

Every drive has its own street, weather and camera, all from its seed: the same configuration gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.town import VIEW, Thing, Town
from training.town_raster import NEAR, Camera, Pose, Raster
from training.town_shapes import GREENS, ID, Color, noise, pick
from training.town_vehicles import Mesh
from unet_seg_ros.cityscapes import image_path, label_path

LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "width": (32, 8192),
    "height": (32, 8192),
    "fps": (0.01, 240),
    "seconds": (0.01, 3600),
}
AZIMUTHS = 3600
"""Directions of the backdrop's panorama, all around."""


@dataclass(frozen=True)
class DriveConfig:
    """A drive: frames of ``width`` × ``height`` pixels, ``fps`` a second for ``seconds``; at least one frame."""

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
                raise ValueError(f"{name} is {value}, must be from {low:g} to {high:g}")

    @property
    def frames(self) -> int:
        """How many frames the drive has."""
        return max(1, round(self.fps * self.seconds))


class Frame(NamedTuple):
    """``image``: H×W×3 uint8 RGB; ``label``: H×W uint8 Cityscapes label ids; ``stamp_ns``: since the drive began."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    stamp_ns: int


def _rng(config: DriveConfig, stream: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, 2, stream])


def camera(config: DriveConfig) -> Camera:
    """The intrinsics of the drive's camera: 50° to 80° wide, square pixels."""
    view = np.deg2rad(_rng(config, 0).uniform(50, 80))
    focal = config.width / 2 / float(np.tan(view / 2))
    return Camera(focal, focal, (config.width - 1) / 2, (config.height - 1) / 2, config.width, config.height)


class Weather:
    """Light, sky, skyline and sensor of one drive."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        grey = float(rng.uniform(0, 1))  # overcast
        zenith = np.array([70, 120, 196]) * (1 - grey) + np.array([168, 174, 182]) * grey
        low = np.array([196, 214, 232]) * (1 - grey) + np.array([214, 216, 218]) * grey
        self.zenith, self.low = zenith + rng.normal(0, 8, 3), low + rng.normal(0, 6, 3)
        self.clouds = float(rng.uniform(0, 1))
        self.sight = float(rng.choice([rng.uniform(120, 300), rng.uniform(300, 1500)]))
        haze = np.clip(0.92 * self.low, 0, 255)
        self.haze: Color = (float(haze[0]), float(haze[1]), float(haze[2]))
        self._skyline(rng)
        gain, gamma = float(rng.uniform(0.5, 1.25)), float(rng.uniform(0.75, 1.35))
        cast, offset = rng.normal(1, 0.05, 3), float(rng.uniform(-8, 14))
        curve = np.linspace(0, 1, 256)[:, None] ** gamma * 255 * gain * cast + offset
        self.curve = np.clip(curve, 0, 255).astype(np.uint8)[None]
        self.blur = float(rng.uniform(0.35, 0.9)) * max(1.0, size[1] / 640)
        strength = float(rng.uniform(1, 6))
        self.noise = rng.normal(0, strength, (size[0] + 32, size[1] + 32, 3)).astype(np.int16)

    def _skyline(self, rng: np.random.Generator) -> None:
        """What closes the view: per direction how high it rises (tangent), its label and its colour."""
        wave = noise()[500, np.arange(AZIMUTHS) % 1024]
        hills = rng.uniform(0.01, 0.06) + 0.012 * np.abs(wave)
        self.rise = np.asarray(hills, np.float64)
        self.rise_label = np.full(AZIMUTHS, ID["vegetation"], np.uint8)
        self.rise_color = np.asarray(pick(rng, GREENS)) * (1 + 0.08 * wave[:, None])
        at = 0
        while at < AZIMUTHS:
            wide = int(rng.integers(15, 70))
            if rng.random() < 0.5:
                self.rise[at : at + wide] = rng.uniform(0.02, 0.13)
                self.rise_label[at : at + wide] = ID["building"]
                self.rise_color[at : at + wide] = rng.uniform(80, 190) + rng.normal(0, 10, 3)
            at += wide
        fog = 1 - np.exp(-VIEW / self.sight)
        self.rise_color = self.rise_color * (1 - fog) + np.asarray(self.haze) * fog

    def backdrop(self, raster: Raster, heading: float) -> None:
        """Sky and skyline above the horizon, for a camera that looks towards ``heading`` (radians)."""
        lens, end = raster.camera, raster.horizon
        if not end:
            return
        azimuth = heading + np.arctan((np.arange(lens.width) - lens.cx) / lens.fx)
        column = np.floor(azimuth / (2 * np.pi) * AZIMUTHS).astype(int) % AZIMUTHS
        up = np.tan(raster.pose.pitch) + (lens.cy - np.arange(end)) / lens.fy
        mix = np.clip(up * 1.6, 0, 1)[:, None]
        shades = self.low * (1 - mix) + self.zenith * mix
        along = np.broadcast_to((azimuth * 380 % 1000).astype(np.float32), (end, lens.width))
        across = np.repeat((700 / (1 + 4 * np.maximum(up, 0))).astype(np.float32)[:, None], lens.width, 1)
        cloud = cv2.remap(noise(), along, across, cv2.INTER_LINEAR)
        cover = np.clip(cloud * 0.5 + self.clouds - 0.5, 0, 0.85)[..., None]
        sky = shades[:, None] * (1 - cover) + (0.4 * self.low + 146) * cover
        behind = up[:, None] < self.rise[column]
        raster.image[:end] = np.clip(np.where(behind[..., None], self.rise_color[column], sky), 0, 255)
        raster.label[:end] = np.where(behind, self.rise_label[column], ID["sky"])

    def expose(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """What the sensor makes of the scene: blur, tone, noise."""
        image = cv2.LUT(cv2.GaussianBlur(image, (0, 0), self.blur), self.curve)
        row, col = (int(n) for n in rng.integers(0, 32, 2))
        height, width = image.shape[:2]
        return np.asarray(cv2.add(image, self.noise[row : row + height, col : col + width], dtype=cv2.CV_8U), np.uint8)


def _pose(town: Town, ego: tuple[float, float, float], height: float, pitch: float) -> tuple[Pose, float]:
    """The camera's pose and its heading (radians to the right of the map's upright)."""
    s, t, yaw = ego
    along = np.arange(s - 40, s + VIEW + 60)
    x, z = town.path(along)
    x0, z0 = town.path(np.array([s]))
    turn, heading = float(town.heading(s)), float(town.heading(s)) + yaw
    x, z = x - x0 - t * np.cos(turn), z - z0 + t * np.sin(turn)
    cos, sin = np.cos(heading), np.sin(heading)
    return Pose(along, x * cos - z * sin, x * sin + z * cos, town.heading(along) - heading, height, pitch), heading


def _local(points: NDArray[np.float64], s: float, t: float, yaw: float) -> NDArray[np.float64]:
    """Points (forward, right, up) of something at (s, t) turned by ``yaw`` → street coordinates."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    forward, right = points[:, 0], points[:, 1]
    return np.stack([s + forward * cos - right * sin, t + forward * sin + right * cos, points[:, 2]], 1)


def _draw_mesh(raster: Raster, mesh: Mesh, spot: tuple[float, float], yaw: float, sun: NDArray[np.float64]) -> None:
    points = raster.pose.place(_local(mesh.vertices, *spot, yaw))
    distance = float(np.hypot(*raster.pose.place(np.array([[*spot, 0.0]]))[0, [0, 2]]))
    zero = np.zeros(1)
    normals = _local(mesh.normals, 0, 0, yaw)
    a, b, c = (points[mesh.starts[:-1] + i] for i in range(3))
    outward = _local(mesh.vertices[mesh.starts[:-1]] + mesh.normals, *spot, yaw)
    facing = np.einsum("ij,ij->i", raster.pose.place(outward) - a, a) < zero
    light = 0.72 + 0.3 * normals @ sun
    del b, c
    for i in np.flatnonzero(facing):
        raster.polygon(points[mesh.starts[i] : mesh.starts[i + 1]], mesh.colors[i] * light[i], mesh.label, distance)


def _draw_thing(
    raster: Raster, thing: Thing, spot: tuple[float, float], time: float, sun: NDArray[np.float64], dark: float
) -> None:
    if isinstance(thing.look, Mesh):
        _draw_mesh(raster, thing.look, spot, thing.yaw, sun)
        return
    walking = thing.speed or thing.drift
    texture = thing.look[int(time * 5 + thing.s) % len(thing.look) if walking else 0]
    foot = raster.pose.place(np.array([[*spot, 0.0]]))[0]
    if foot[2] < NEAR + 0.7:
        return
    half, up = np.array([thing.width / 2, 0, 0]), np.array([0, -thing.height, 0])
    raster.panel(
        np.array([foot - half + up, foot + half + up, foot - half]), texture, float(np.hypot(foot[0], foot[2]))
    )


def _footprint(thing: Thing, spot: tuple[float, float], lean: float) -> NDArray[np.float64]:
    """The outline of a thing's shadow on the ground in street coordinates, float[n, 3]."""
    mesh = thing.look if isinstance(thing.look, Mesh) else None
    long, wide = (mesh.length / 2 + 0.1, mesh.width / 2 + 0.1) if mesh else (0.2, min(0.35, thing.width / 4))
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    if mesh:
        outline = np.array([(-long, -wide, 0), (-long, wide, 0), (long, wide, 0), (long, -wide, 0)], float)
    else:
        outline = np.stack([long * np.cos(angle), wide * np.sin(angle), 0 * angle], 1)
    return _local(outline, spot[0], spot[1] + lean, thing.yaw)


def drive(config: DriveConfig) -> Iterator[Frame]:
    """The frames of a drive, in order."""
    town, lens, rng = Town(config.seed, config.seconds), camera(config), _rng(config, 1)
    weather = Weather(rng, (config.height, config.width))
    height, level, bounce = float(rng.uniform(1.2, 1.9)), float(rng.uniform(-0.03, 0.09)), float(rng.uniform(0, 0.004))
    sun = np.array([0.35, -np.sign(town.sun) * 0.6, 0.7])
    dark = town.surface.shadow if town.surface.shadow < 1 else 0.7
    for index in range(config.frames):
        time = index / config.fps
        ego = town.ego(time)
        pose, heading = _pose(town, ego, height, level + bounce * float(np.sin(9 * time)))
        raster = Raster(lens, pose, weather.haze, weather.sight)
        _draw(raster, town, ego, time, heading, weather, sun, dark)
        yield Frame(weather.expose(raster.image, rng), raster.label, round(time * 1e9))


def _draw(raster: Raster, town: Town, ego: tuple[float, float, float], time: float, heading: float, weather: Weather,
          sun: NDArray[np.float64], dark: float) -> None:  # fmt: skip
    """One frame: backdrop, ground, shadows, then all else from far to near."""
    blocks = town.blocks(ego[0])
    weather.backdrop(raster, heading)
    start = blocks[0][0] * 40.0
    color = np.concatenate([block.color for _, block in blocks])
    label = np.concatenate([block.label for _, block in blocks])
    raster.ground(color, label, start)
    eye = np.array([ego[0], ego[1], raster.pose.height])
    queue = []
    for panel in (panel for _, block in blocks for panel in block.panels):
        corners = raster.pose.place(panel.corners)
        ends = np.concatenate([corners, [corners[1] + corners[2] - corners[0]]])
        if ends[:, 2].max() > NEAR and corners[:, 2].min() < VIEW:
            u, v = panel.corners[1] - panel.corners[0], panel.corners[2] - panel.corners[0]
            normal = np.cross(u, v) / np.linalg.norm(np.cross(u, v))
            light = 0.8 + 0.25 * float(normal @ sun) * float(np.sign(normal @ (eye - panel.corners[0])))
            queue.append((float(np.hypot(ends[:, 0], ends[:, 2]).max()), panel, corners, light))
    things = []
    for thing in [*town.traffic, *(thing for _, block in blocks for thing in block.things)]:
        s, t = thing.at(time, ego[0])
        if -15 < s - ego[0] < VIEW:
            foot = raster.pose.place(np.array([[s, t, 0.0]]))[0]
            things.append((float(np.hypot(foot[0], foot[2])), thing, (s, t)))
    for _, thing, spot in things:
        raster.shadow(raster.pose.place(_footprint(thing, spot, 0)), dark)
    order = [(key, 0, i) for i, (key, *_) in enumerate(queue)] + [(key, 1, i) for i, (key, *_) in enumerate(things)]
    for _, kind, i in sorted(order, reverse=True):
        if kind == 0:
            key, panel, corners, light = queue[i]
            raster.panel(corners, panel.texture, key, light)
        else:
            _, thing, spot = things[i]
            _draw_thing(raster, thing, spot, time, sun, dark)


def write_drive(config: DriveConfig, root: Path, split: str = "train") -> Iterator[str]:
    """Write a drive in the Cityscapes layout under ``root``; yields the name of each frame when it is on disk.

    The city is the drive, ``town0007`` for seed 7; its camera's intrinsics lie in ``camera.json`` beside the images.
    """
    city = f"town{config.seed:04d}"
    first = image_path(root, split, city, "x")
    first.parent.mkdir(parents=True, exist_ok=True)
    label_path(root, split, city, "x").parent.mkdir(parents=True, exist_ok=True)
    (first.parent / "camera.json").write_text(json.dumps(asdict(camera(config)), indent=2) + "\n")
    for index, frame in enumerate(drive(config)):
        name = f"{city}_000000_{index:06d}"
        for path, pixels in (
            (image_path(root, split, city, name), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)),
            (label_path(root, split, city, name), frame.label),
        ):
            if not cv2.imwrite(str(path), pixels):
                raise OSError(f"{path}: cannot be written")
        yield name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: several drives with consecutive seeds."""
    parser = argparse.ArgumentParser(prog="python -m training.synthetic", description=__doc__)
    parser.add_argument("output", type=Path, help="folder to write, in the Cityscapes layout")
    parser.add_argument("--split", default="train")
    parser.add_argument("--drives", type=int, default=1, help="how many, with seeds SEED, SEED + 1, …")
    parser.add_argument("--seed", type=int, default=0, help="of the first drive")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each drive")
    options = parser.parse_args(arguments)
    try:
        configs = [
            DriveConfig(options.seed + i, options.width, options.height, options.fps, options.seconds)
            for i in range(options.drives)
        ]
    except ValueError as error:
        parser.error(str(error))
    with tqdm(total=sum(config.frames for config in configs), unit="frame") as bar:
        for config in configs:
            for _ in write_drive(config, options.output, options.split):
                bar.update()


if __name__ == "__main__":
    main()

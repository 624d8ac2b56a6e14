"""The parameters ``ground.*`` as checked objects: the grid, and the calibration that is given for each camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unet_seg_ros.files import of_user
from unet_seg_ros.ground.camera import Camera
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.text import quoted

PLACE = ("x", "y", "z", "roll", "pitch", "yaw")


@dataclass(frozen=True)
class Given:
    """The parameters of one camera. If ``camera`` or ``pose`` is None, it comes from ``camera_info`` or from TF.
    ``rectified``: the images are rectified, which decides what is read from ``camera_info``."""

    camera: Camera | None
    pose: Pose | None
    rectified: bool


@dataclass(frozen=True)
class GroundSettings:
    """``frame`` is the car's frame on the ground; ``odometry_frame`` is a frame that does not move; ``costs`` is None
    for the file of this package; ``memory`` is in seconds."""

    frame: str
    odometry_frame: str
    grid: Grid
    costs: Path | None
    memory: float
    cameras: dict[str, Given]

    @classmethod
    def of(cls, values: Mapping[str, Any], cameras: Sequence[str]) -> GroundSettings:
        """Check the values of all parameters ``ground.*``, by name. Raises ValueError, which names the parameter."""
        frame, odometry_frame = _frame("frame", values), _frame("odometry_frame", values)
        if not frame:
            raise ValueError("ground.frame: must be the name of a TF frame, such as base_link, not empty")
        area = values["ground.area"]
        if len(area) != 4:
            raise ValueError(f"ground.area: must be the four numbers x_min, y_min, x_max, y_max, not {list(area)}")
        try:
            x_min, y_min, x_max, y_max = area
            grid = Grid(x_min, y_min, x_max, y_max, values["ground.resolution"])
        except ValueError as error:
            raise ValueError(f"ground.area and ground.resolution: {error}") from None
        return cls(
            frame=frame,
            odometry_frame=odometry_frame,
            grid=grid,
            costs=of_user(values["ground.costs"]) if values["ground.costs"] else None,
            memory=values["ground.memory"],
            cameras={name: _given(name, values) for name in cameras},
        )


def _frame(name: str, values: Mapping[str, Any]) -> str:
    value: str = values[f"ground.{name}"]
    if value.startswith("/"):  # TF refuses it
        raise ValueError(f"ground.{name}: a TF frame has no slash at its beginning, but this is {quoted(value)}")
    return value


def _given(name: str, values: Mapping[str, Any]) -> Given:
    own = {key: values[f"ground.{name}.{key}"] for key in ("size", "intrinsics", "distortion", "distortion_model")}
    place = [float(values[f"ground.{name}.{key}"]) for key in PLACE]
    try:
        camera = _camera(own) if own["size"] or own["intrinsics"] or own["distortion"] else None
        pose = Pose.from_angles(*place) if any(place) else None
    except ValueError as error:
        raise ValueError(f"ground.{name}: {error}") from None
    return Given(camera, pose, bool(values[f"ground.{name}.rectified"]))


def _camera(own: Mapping[str, Any]) -> Camera:
    size, intrinsics = own["size"], own["intrinsics"]
    if len(size) != 2 or any(side != int(side) for side in size):
        raise ValueError(f"size must be the two whole numbers width, height, not {list(size)}")
    if len(intrinsics) != 4:
        raise ValueError(f"intrinsics must be the four numbers fx, fy, cx, cy, not {list(intrinsics)}")
    fx, fy, cx, cy = intrinsics
    lens = tuple(own["distortion"])
    return Camera(int(size[0]), int(size[1]), fx, fy, cx, cy, own["distortion_model"], lens)

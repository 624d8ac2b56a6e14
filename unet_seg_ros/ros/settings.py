"""The parameters' values as one checked object. Imports no ROS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unet_seg_ros.ground.settings import GroundSettings
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.model.shipped_models import shipped_or_path
from unet_seg_ros.ros.bringup import MAX_TOPIC, NAME, is_camera_name, is_topic_name
from unet_seg_ros.ros.parameter_table import INHERITED
from unet_seg_ros.text import quoted

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class CameraSettings:
    """The parameters of one camera. Rates are in Hz, 0 = not given; ``parameter_table`` describes them."""

    topic: str
    camera_info: str
    expected_rate: float
    max_rate: float
    ignore: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """The parameters ``diagnostics.*``."""

    min_rate: float
    max_age: float
    max_drop_ratio: float
    max_lost_ratio: float
    max_malformed_ratio: float
    error_after: float


@dataclass(frozen=True)
class Settings:
    """All parameters' values. Raises ValueError that names the wrong parameter."""

    cameras: dict[str, CameraSettings]
    model: str
    device: str
    transport: str
    max_pixels: int
    precision: str
    threads: int
    regions: tuple[Region, ...]
    confidence_threshold: float
    unknown_below: float
    input_reliability: str
    output_reliability: str
    output_depth: int
    health_thresholds: str
    autoware_mask: bool
    limits: Limits
    ground: GroundSettings

    def __post_init__(self) -> None:
        for region in self.regions:
            unknown = sorted(set(region.cameras) - set(self.cameras))
            if unknown:
                raise ValueError(f"region.{region.name}.cameras: no camera is called {', '.join(unknown)}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """The settings from the values, by name, of all parameters in ``parameter_table.names_of``."""
        for name in ("cameras", "model", "device", "regions"):
            check_value(name, values[name])
        plain = {n: values[n] for n in cls.__dataclass_fields__ if n not in ("cameras", "regions", "limits", "ground")}
        return cls(
            cameras={name: _camera(name, values) for name in values["cameras"]},
            regions=tuple(
                Region.from_flat(name, values[f"region.{name}.polygon"], values[f"region.{name}.cameras"])
                for name in values["regions"]
            ),
            limits=Limits(**{name: values[f"diagnostics.{name}"] for name in Limits.__dataclass_fields__}),
            ground=GroundSettings.of(values, values["cameras"]),
            **plain,
        )


def check_value(name: str, value: Any) -> None:
    """Checks that the table's row cannot express. Raises ValueError that names the parameter."""
    if name == "cameras":
        if not value or len(set(value)) < len(value):
            raise ValueError(f"cameras: must have at least one name, and each name once, not {list(value)}")
        for camera in value:
            if not is_camera_name(camera):
                raise ValueError(f"cameras: {quoted(camera)} is not {NAME}")
    elif name == "model":
        shipped_or_path(value)
    elif name == "device" and not DEVICE.fullmatch(value):
        raise ValueError(f"device: must be auto, cpu, cuda or cuda:N, not {quoted(value)}")
    elif name == "regions":
        if len(set(value)) < len(value):
            raise ValueError("regions: must have each name once")
        for region in value:
            if not is_camera_name(region):
                raise ValueError(f"regions: {quoted(region)} is not {NAME}")
    elif name.startswith(("topic.", "camera_info.")) and value and not is_topic_name(value):
        raise ValueError(
            f"{name}: {quoted(value)} is not a topic's name such as /front/image_raw or front/image_raw, of at most "
            f"{MAX_TOPIC} characters"
        )


def _camera(name: str, values: Mapping[str, Any]) -> CameraSettings:
    def number(parameter: str) -> float:
        own = float(values[f"{parameter}.{name}"])
        return float(values[parameter]) if own == INHERITED else own

    for parameter in ("topic", "camera_info"):
        check_value(f"{parameter}.{name}", values[f"{parameter}.{name}"])
    return CameraSettings(
        topic=values[f"topic.{name}"],
        camera_info=values[f"camera_info.{name}"],
        expected_rate=number("expected_rate"),
        max_rate=number("max_rate"),
        ignore=tuple(values[f"ignore.{name}"]),
    )

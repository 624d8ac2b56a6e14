"""The node's parameters: declared with descriptions and ranges, read into one validated dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.ros.bringup import TRANSPORTS, is_camera_name
from unet_seg_ros.share import DEFAULT_MODEL

RELIABILITIES = ("reliable", "best_effort")
NOTHING = [""]
"""An empty list of names: neither a parameter file nor rclpy's type inference knows an empty one."""


@dataclass(frozen=True)
class Settings:
    """The parameters' values, see ``config/seg.param.yaml``. Raises ValueError naming the parameter that is wrong."""

    cameras: tuple[str, ...]
    model: str
    device: str
    transport: str
    max_pixels: int
    autostart: bool
    regions: tuple[Region, ...]
    confidence_threshold: float
    threads: int
    input_reliability: str
    output_reliability: str
    output_depth: int

    def __post_init__(self) -> None:
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise ValueError(f"cameras: needs at least one name and no name twice, not {list(self.cameras)}")
        for camera in self.cameras:
            if not is_camera_name(camera):
                raise ValueError(f"cameras: {camera!r} is not a name of letters, digits and underscores")
        _one_of("transport", self.transport, TRANSPORTS)
        _one_of("input_reliability", self.input_reliability, ("auto", *RELIABILITIES))
        _one_of("output_reliability", self.output_reliability, RELIABILITIES)
        if len({region.name for region in self.regions}) < len(self.regions):
            raise ValueError("regions: needs every name once")
        for region in self.regions:
            unknown = set(region.cameras) - set(self.cameras)
            if unknown:
                raise ValueError(f"region.{region.name}.cameras: no camera is called {', '.join(sorted(unknown))}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """From parameter values by name."""
        named = {name: values[name] for name in cls.__dataclass_fields__ if name != "regions"}
        regions = _regions(_names(values["regions"]), values)
        return cls(**{**named, "cameras": tuple(named["cameras"])}, regions=regions)

    def updated(self, values: Mapping[str, Any]) -> Settings:
        """These settings with what may change at any time taken from ``values``."""
        regions = _regions([region.name for region in self.regions], values)
        return dataclasses.replace(self, confidence_threshold=values["confidence_threshold"], regions=regions)


def _regions(names: Iterable[str], values: Mapping[str, Any]) -> tuple[Region, ...]:
    return tuple(
        Region.from_flat(name, values[f"region.{name}.polygon"], _names(values[f"region.{name}.cameras"] or []))
        for name in names
    )


def _names(value: Iterable[str]) -> list[str]:
    return [name for name in value if name]


def _one_of(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}: must be one of {', '.join(known)}, not {value!r}")


def changes_at_any_time(name: str) -> bool:
    """Whether a parameter takes effect while the node is active."""
    return name == "confidence_threshold" or name.startswith("region.")


def declare(node: Node) -> None:
    """Declare all parameters but the regions' own."""

    def integer(low: int, high: int) -> dict[str, Any]:
        return {"integer_range": [IntegerRange(from_value=low, to_value=high, step=1)]}

    def add(name: str, default: Any, description: str, **constraints: Any) -> None:
        node.declare_parameter(name, default, ParameterDescriptor(description=description, **constraints))

    add("cameras", ["camera"], "Names of the cameras; the images of camera C come from ~/C/image.")
    add("model", DEFAULT_MODEL, "A model bundle's path, or the name of a shipped one.")
    add("device", "auto", "auto (CUDA where there is a GPU, else the CPU), cpu, cuda or cuda:N.")
    add("transport", "raw", "raw (Image on ~/C/image) or compressed (CompressedImage on ~/C/image/compressed).")
    add("max_pixels", 0, "Pixels of the working resolution; larger frames are shrunk to it. 0: the model's own.",
        **integer(0, 2**26))  # fmt: skip
    add("autostart", True, "Configure and activate without being told to.")
    add("regions", NOTHING, "Names of regions of interest that coverage is measured in too.")
    add("confidence_threshold", 0.5, "Pixels less probable than this count as of low confidence.",
        floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1.0)])  # fmt: skip
    add("threads", 0, "CPU threads of the network. 0: PyTorch's choice.", **integer(0, 1024))
    add("input_reliability", "auto", "reliable, best_effort, or auto: reliable once every publisher offers it.")
    add("output_reliability", "reliable", "reliable or best_effort.")
    add("output_depth", 5, "Messages that each output keeps for a slow subscriber.", **integer(1, 1000))


def declare_regions(node: Node) -> None:
    """Declare ``region.NAME.*`` for each name in ``regions`` that has none yet."""
    for name in _names(node.get_parameter("regions").value):
        if not node.has_parameter(f"region.{name}.polygon"):
            # Dynamic typing, since a list of whole numbers is as good a polygon.
            polygon = ParameterDescriptor(description="x0, y0, x1, y1, … in 0..1, 3 or more.", dynamic_typing=True)
            cameras = ParameterDescriptor(description="Cameras that it applies to; empty: all.")
            node.declare_parameter(f"region.{name}.polygon", [], polygon)
            node.declare_parameter(f"region.{name}.cameras", NOTHING, cameras)


def values(node: Node) -> dict[str, Any]:
    """All declared parameters' values by name."""
    return {name: parameter.value for name, parameter in node.get_parameters_by_prefix("").items()}

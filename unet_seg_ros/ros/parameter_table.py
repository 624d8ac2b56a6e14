"""The node's parameters: names, types, defaults, ranges, meanings. Data only, no ROS.

The node's declarations, ``config/seg.param.yaml``, ``config/seg.param.schema.json`` and ``docs/parameters.md`` are made
from this table (``python tools/parameter_files.py`` writes the files, a test compares them).
"""

from __future__ import annotations

import re
from typing import Any

from unet_seg_ros.engine import PRECISIONS
from unet_seg_ros.model.catalog import DEFAULT_MODEL
from unet_seg_ros.ros.ground_parameters import GROUND
from unet_seg_ros.ros.parameter_spec import Spec
from unet_seg_ros.text import quoted

RELIABILITIES = ("reliable", "best_effort")
TRANSPORTS = ("raw", "compressed")
INHERITED = -1.0
"""For a number of one camera: as the parameter of all cameras says."""


TABLE: tuple[Spec, ...] = (
    # ---- cameras
    Spec(
        "cameras",
        "strings",
        ("camera",),
        "Names of the cameras. The images of camera C are read from its `topic.C`, and its outputs appear under ~/C/.",
    ),
    Spec(
        "topic.<camera>",
        "string",
        "",
        "Topic of the camera's images, absolute or relative to the node's namespace. Empty: ~/C/image. With "
        "`transport: compressed`, /compressed is added to it.",
        example='topic.camera: "camera/image_raw"',
    ),
    Spec(
        "camera_info.<camera>",
        "string",
        "",
        "Topic of the camera's sensor_msgs/CameraInfo. Empty: camera_info beside the images, as image_transport has "
        "it.",
    ),
    Spec(
        "transport",
        "string",
        "raw",
        "What the cameras send: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage).",
        choices=TRANSPORTS,
    ),
    Spec(
        "input_reliability",
        "string",
        "auto",
        "QoS reliability of the image subscriptions: reliable, best_effort, or auto (best effort, until every "
        "publisher of the topic is seen to offer reliable).",
        choices=("auto", *RELIABILITIES),
    ),
    Spec(
        "expected_rate",
        "number",
        0.0,
        "Images a second that each camera is known to publish. What is missing counts as lost. 0: estimated from the "
        "stamps of the images.",
        0.0,
        1000.0,
    ),
    Spec(
        "expected_rate.<camera>",
        "number",
        INHERITED,
        "The same for one camera. -1: as `expected_rate` says.",
        INHERITED,
        1000.0,
    ),
    Spec(
        "max_rate",
        "number",
        0.0,
        "Images a second of each camera that are segmented at most; the others are skipped when they arrive. 0: all.",
        0.0,
        1000.0,
    ),
    Spec(
        "max_rate.<camera>", "number", INHERITED, "The same for one camera. -1: as `max_rate` says.", INHERITED, 1000.0
    ),
    Spec(
        "ignore.<camera>",
        "strings",
        (),
        "What the camera sees of its own car, such as the bonnet and mirrors: unlabeled (255) in the mask, and left "
        "out of coverage and confidence. Each entry is a polygon, written as numbers x0 y0 x1 y1 … in fractions 0..1"
        " of width and height, or the path of a PNG whose pixels that are not black are ignored.",
        example='ignore.camera: ["0 1  0.2 0.9  0.8 0.9  1 1", "/maps/mirrors.png"]',
    ),
    # ---- model
    Spec("model", "string", DEFAULT_MODEL, "A model bundle's path, or the name of a shipped one."),
    Spec(
        "device",
        "string",
        "auto",
        "Where the network runs: auto (CUDA where there is a GPU, else the CPU), cpu, cuda or cuda:N.",
    ),
    Spec(
        "max_pixels",
        "integer",
        0,
        "Pixels of the working resolution; a larger image is shrunk to that many, aspect kept. 0: the model's own.",
        0,
        2**26,
    ),
    Spec(
        "precision",
        "string",
        "auto",
        "Arithmetic of the network: fp32, bf16, int8 or auto (on a CPU int8 where the model is calibrated for it, else "
        "bf16 where the CPU has it, else fp32; on a GPU bf16, or fp16 where it lacks that). One that the device or "
        "the model does not have is refused.",
        choices=PRECISIONS,
    ),
    Spec(
        "threads",
        "integer",
        0,
        "CPU threads of the network. 0: one for each core that the node may use (affinity, control group).",
        0,
        1024,
    ),
    # ---- what is published
    Spec(
        "confidence_threshold",
        "number",
        0.5,
        "Pixels whose probability is below this count as of low confidence in coverage.",
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        "unknown_below",
        "number",
        0.0,
        "Pixels whose probability is below this become unlabeled (255) in the mask. 0: none.",
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        "regions",
        "strings",
        (),
        "Names of the regions of interest, besides the whole image, that coverage is measured in.",
        live=True,
        example='regions: ["ego"]',
    ),
    Spec(
        "region.<region>.polygon",
        "numbers",
        (),
        "The region's corners x0, y0, x1, y1, …, at least 3, in fractions 0..1 of width and height.",
        live=True,
        example="region.ego.polygon: [0.3, 1.0, 0.45, 0.6, 0.55, 0.6, 0.7, 1.0]",
    ),
    Spec(
        "region.<region>.cameras",
        "strings",
        (),
        "Names of the cameras that the region applies to. Empty: all.",
        live=True,
        example='region.ego.cameras: ["front"]',
    ),
    Spec(
        "output_reliability",
        "string",
        "reliable",
        "QoS reliability of the outputs: reliable or best_effort.",
        choices=RELIABILITIES,
    ),
    Spec("output_depth", "integer", 5, "QoS history depth of the outputs, in messages.", 1, 1000),
    Spec(
        "health_thresholds",
        "string",
        "",
        "A YAML file of bounds for the signals of ~/C/health and for trust. Empty: the package's config/health.yaml.",
    ),
    Spec(
        "autoware_mask",
        "boolean",
        False,
        "Publish ~/C/mask/autoware too: the mask with Autoware's classes, run-length encoded, for its lidar filter.",
    ),
    *GROUND,
    # ---- diagnostics: a threshold that is crossed is a WARN, and an ERROR when that lasts
    Spec(
        "diagnostics.min_rate",
        "number",
        1.0,
        "Masks a second of a camera below which diagnostics warn. 0: never.",
        0.0,
        1000.0,
        live=True,
    ),
    Spec(
        "diagnostics.max_age",
        "number",
        1.0,
        "Seconds from an image's stamp to its mask's publishing (95th percentile) above which diagnostics warn. 0: "
        "never.",
        0.0,
        1e6,
        live=True,
    ),
    Spec(
        "diagnostics.max_drop_ratio",
        "number",
        0.5,
        "Share of the images received that are not segmented, above which diagnostics warn. 1: never.",
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        "diagnostics.max_lost_ratio",
        "number",
        0.1,
        "Share of the images published that never arrive, above which diagnostics warn. 1: never.",
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        "diagnostics.max_malformed_ratio",
        "number",
        0.0,
        "Share of the images received that hold no usable image, above which diagnostics warn. 1: never.",
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        "diagnostics.error_after",
        "number",
        10.0,
        "Seconds that a warning must last to become an error.",
        0.0,
        1e6,
        live=True,
    ),
    # ---- life cycle
    Spec(
        "autostart",
        "boolean",
        True,
        "Configure and activate without being told to. false: a lifecycle manager does it.",
    ),
    Spec(
        "bond_heartbeat_period",
        "number",
        0.1,
        "Seconds between two heartbeats of the bond that nav2's lifecycle manager expects of an active node, where "
        "bond_core is installed. 0: no bond.",
        0.0,
        10.0,
    ),
)


def spec_of(name: str) -> Spec | None:
    """The parameter's row, whether its name is there as it is or of a family."""
    return next((spec for spec in TABLE if spec.pattern.fullmatch(name)), None)


def owner_of(name: str, what: str) -> str:
    """Whose a parameter of a family is: ``owner_of("region.ego.polygon", "region")`` is ``ego``, else empty."""
    spec = spec_of(name)
    match = spec.pattern.fullmatch(name) if spec else None
    return match.groupdict().get(what, "") if match else ""


def names_of(cameras: list[str], regions: list[str]) -> dict[str, Spec]:
    """Every parameter that a node with these cameras and regions has, by name."""
    named: dict[str, Spec] = {}
    for spec in TABLE:
        owners = cameras if "<camera>" in spec.name else regions if "<region>" in spec.name else [""]
        named.update({re.sub(r"<\w+>", owner, spec.name): spec for owner in owners})
    return named


def coerced(spec: Spec, name: str, value: Any) -> Any:
    """The value as the parameter's kind has it: whole numbers are numbers too, and nothing is an empty list.

    Raises ValueError, which names the parameter, where the value is of another kind, out of range or no choice.
    """
    if spec.kind in ("strings", "numbers"):
        value = _list(spec, name, value)
    elif spec.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = {"string": str, "integer": int, "number": float, "boolean": bool}.get(spec.kind)
    if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        raise ValueError(f"{name}: must be {_A[spec.kind]}, not {quoted(value)}")
    if spec.choices and value not in spec.choices:
        raise ValueError(f"{name}: must be one of {', '.join(spec.choices)}, not {quoted(value)}")
    if spec.low is not None and spec.high is not None and not spec.low <= value <= spec.high:
        raise ValueError(f"{name}: must be {spec.low:g} to {spec.high:g}, not {quoted(value)}")
    return value


_A = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "strings": "a list of texts",
    "numbers": "a list of numbers",
}


def _list(spec: Spec, name: str, value: Any) -> list[Any]:
    items = [] if value is None else value
    if isinstance(items, str) or not hasattr(items, "__iter__"):
        raise ValueError(f"{name}: must be {_A[spec.kind]}, not {quoted(value)}")
    items = list(items)
    kinds = (str,) if spec.kind == "strings" else (int, float)
    if not all(isinstance(item, kinds) and not isinstance(item, bool) for item in items):
        raise ValueError(f"{name}: must be {_A[spec.kind]}, not {quoted(value)}")
    return [item for item in items if item != ""] if spec.kind == "strings" else [float(item) for item in items]

"""The node's parameters: names, types, defaults, ranges and descriptions. Only data; imports no ROS.

The node's declarations, ``config/seg.param.yaml``, ``config/seg.param.schema.json`` and ``docs/parameters.md`` are made
from this table (``python tools/parameter_files.py`` writes the files, a test compares them).
"""

from __future__ import annotations

import math
import re
from typing import Any

from unet_seg_ros.engine import PRECISIONS
from unet_seg_ros.model.shipped_models import DEFAULT_MODEL
from unet_seg_ros.ros.ground_parameters import GROUND
from unet_seg_ros.ros.parameter_spec import Spec
from unet_seg_ros.text import quoted

RELIABILITIES = ("reliable", "best_effort")
TRANSPORTS = ("raw", "compressed")
INHERITED = -1.0
"""Value of one camera's parameter that means: use the value for all cameras."""

# The formatter would write each row on many lines.
# fmt: off
TABLE: tuple[Spec, ...] = (
    # ---- cameras
    Spec("cameras", "strings", ("camera",),
         "Names of the cameras. The images of camera C are read from its `topic.C`, and its outputs appear under "
         "~/C/."),
    Spec("topic.<camera>", "string", "",
         "Topic of the camera's images, absolute or relative to the node's namespace. Empty: ~/C/image. With "
         "`transport: compressed`, /compressed is added to it.", example='topic.camera: "camera/image_raw"'),
    Spec("camera_info.<camera>", "string", "",
         "Topic of the camera's sensor_msgs/CameraInfo. Empty: the topic camera_info in the same namespace as the "
         "images."),
    Spec("transport", "string", "raw",
         "What the cameras send: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage).",
         choices=TRANSPORTS),
    Spec("input_reliability", "string", "auto",
         "QoS reliability of the image subscriptions: reliable, best_effort, or auto (best effort, until every "
         "publisher of the topic is seen to offer reliable).", choices=("auto", *RELIABILITIES)),
    Spec("expected_rate", "number", 0.0,
         "Images per second that each camera publishes. Images that do not arrive count as lost. 0: the rate is "
         "estimated from the stamps.", 0.0, 1000.0),
    Spec("expected_rate.<camera>", "number", INHERITED,
         "The same for one camera. -1: the value of `expected_rate`.", INHERITED, 1000.0),
    Spec("max_rate", "number", 0.0,
         "Most images per second of each camera that are segmented; the others are skipped when they arrive. 0: all.",
         0.0, 1000.0),
    Spec("max_rate.<camera>", "number", INHERITED,
         "The same for one camera. -1: the value of `max_rate`.", INHERITED, 1000.0),
    Spec("ignore.<camera>", "strings", (),
         "Image areas that show the car itself, such as bonnet and mirrors. They are unlabeled (255) in the mask and "
         "not counted in the coverage. Each entry is a polygon, written as numbers x0 y0 x1 y1 … in fractions 0..1 "
         "of width and height, or the path of a PNG in which all pixels that are not black are ignored.",
         example='ignore.camera: ["0 1  0.2 0.9  0.8 0.9  1 1", "/maps/mirrors.png"]'),
    # ---- model
    Spec("model", "string", DEFAULT_MODEL, "A model bundle's path, or the name of a shipped one."),
    Spec("device", "string", "auto",
         "Device that runs the network: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or cuda:N."),
    Spec("max_pixels", "integer", 0,
         "Most pixels that the network gets; a larger image is shrunk, aspect ratio kept. 0: the model's own value.",
         0, 2**26),
    Spec("precision", "string", "auto",
         "Arithmetic of the network: fp32, bf16, int8 or auto (on a CPU int8 if the model is calibrated for it, else "
         "bf16 if the CPU has it, else fp32; on a GPU bf16 if the GPU has it, else fp16). A precision that the "
         "device or the model does not have is refused.", choices=PRECISIONS),
    Spec("threads", "integer", 0,
         "CPU threads of the network. 0: one for each core that the node may use (by affinity and control group).",
         0, 1024),
    # ---- outputs
    Spec("confidence_threshold", "number", 0.5,
         "Pixels with a probability below this value count as low confidence in the coverage.", 0.0, 1.0, live=True),
    Spec("unknown_below", "number", 0.0,
         "Pixels with a probability below this value become unlabeled (255) in the mask. 0: none.",
         0.0, 1.0, live=True),
    Spec("regions", "strings", (),
         "Names of the image regions for which the coverage is measured, besides the whole image.",
         live=True, example='regions: ["ego"]'),
    Spec("region.<region>.polygon", "numbers", (),
         "The region's corners x0, y0, x1, y1, …, at least 3, in fractions 0..1 of width and height.",
         live=True, example="region.ego.polygon: [0.3, 1.0, 0.45, 0.6, 0.55, 0.6, 0.7, 1.0]"),
    Spec("region.<region>.cameras", "strings", (),
         "Names of the cameras that the region applies to. Empty: all.",
         live=True, example='region.ego.cameras: ["front"]'),
    Spec("output_reliability", "string", "reliable",
         "QoS reliability of the outputs: reliable or best_effort.", choices=RELIABILITIES),
    Spec("output_depth", "integer", 5, "QoS history depth of the outputs, in messages.", 1, 1000),
    Spec("health_thresholds", "string", "",
         "A YAML file with the thresholds of ~/C/health. Empty: config/health.yaml of this package."),
    Spec("autoware_mask", "boolean", False,
         "Also publish ~/C/mask/autoware: the mask with Autoware's classes, run-length encoded, for its lidar filter."),
    *GROUND,
    # ---- diagnostics: a crossed threshold is a WARN, and an ERROR if it lasts
    Spec("diagnostics.min_rate", "number", 1.0,
         "Fewest masks per second of a camera; diagnostics warn of less. 0: never.", 0.0, 1000.0, live=True),
    Spec("diagnostics.max_age", "number", 1.0,
         "Most seconds from an image's stamp to the publishing of its mask (95th percentile); diagnostics warn of "
         "more. 0: never.", 0.0, 1e6, live=True),
    Spec("diagnostics.max_drop_ratio", "number", 0.5,
         "Largest share of the received images that may be dropped; diagnostics warn of more. 1: never.",
         0.0, 1.0, live=True),
    Spec("diagnostics.max_lost_ratio", "number", 0.1,
         "Largest share of the published images that may not arrive; diagnostics warn of more. 1: never.",
         0.0, 1.0, live=True),
    Spec("diagnostics.max_malformed_ratio", "number", 0.0,
         "Largest share of the received images that may be unusable; diagnostics warn of more. 1: never.",
         0.0, 1.0, live=True),
    Spec("diagnostics.error_after", "number", 10.0,
         "Seconds after which a warning that lasts becomes an error.", 0.0, 1e6, live=True),
    # ---- life cycle
    Spec("autostart", "boolean", True, "The node configures and activates itself. false: a lifecycle manager does it."),
    Spec("bond_heartbeat_period", "number", 0.1,
         "Seconds between two heartbeats of the bond that nav2's lifecycle manager expects of an active node, if "
         "bond_core is installed. 0: no bond.", 0.0, 10.0),
)
# fmt: on


def spec_of(name: str) -> Spec | None:
    """The row of a parameter or of its family; None if there is none."""
    return next((spec for spec in TABLE if spec.pattern.fullmatch(name)), None)


def names_of(cameras: list[str], regions: list[str]) -> dict[str, Spec]:
    """All parameters, by name, of a node with these cameras and regions."""
    named: dict[str, Spec] = {}
    for spec in TABLE:
        owners = cameras if "<camera>" in spec.name else regions if "<region>" in spec.name else [""]
        named.update({re.sub(r"<\w+>", owner, spec.name): spec for owner in owners})
    return named


def coerced(spec: Spec, name: str, value: Any) -> Any:
    """The value converted to the parameter's kind: an integer may stand for a number, and None for an empty list.

    Raises ValueError that names the parameter if the value is of another kind, out of range or not one of the choices.
    """
    if spec.kind in ("strings", "numbers"):
        value = _list(spec, name, value)
    elif spec.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        value = _finite(name, value)
    wanted = {"string": str, "integer": int, "number": float, "boolean": bool}.get(spec.kind)
    if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        raise ValueError(f"{name}: must be {_A[spec.kind]}, not {quoted(value)}")
    if spec.choices and value not in spec.choices:
        raise ValueError(f"{name}: must be one of {', '.join(spec.choices)}, not {quoted(value)}")
    if spec.low is not None and spec.high is not None and not spec.low <= value <= spec.high:
        raise ValueError(f"{name}: must be {spec.low:.12g} to {spec.high:.12g}, not {quoted(value)}")
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
    return [i for i in items if i != ""] if spec.kind == "strings" else [_finite(name, item) for item in items]


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}: must be finite, not {quoted(value)}")
    return number

"""Launch arguments → parameters, remappings and environment of the node. Imports neither ROS nor launch.

The launch file, the replay and the tests all start the node through here.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unet_seg_ros.files import of_user
from unet_seg_ros.ros.parameter_files import cameras_in
from unet_seg_ros.ros.parameter_table import TRANSPORTS
from unet_seg_ros.share_folder import share_folder
from unet_seg_ros.text import LINE, quoted

NODE_NAME = "segmentation"
DEFAULT_TOPIC = "camera/image_raw"
"""Topic of the camera "camera" if neither an argument nor a parameter file names one."""
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")

# Fast DDS 3 (from Kilted on) reads the first of these, Fast DDS 2 (Jazzy, Humble) the second.
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")

MAX_NAME, MAX_TOPIC = 100, 200
"""Most characters of one part of a topic's name, and of a topic. DDS takes 247 in all."""
NAME = f"a name of letters, digits and underscores, with no digit first and of at most {MAX_NAME} characters"
_TOKEN = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

ParameterValue = bool | str | list[str]


@dataclass(frozen=True)
class Argument:
    """A launch argument. If its value is empty, the parameter file decides."""

    name: str
    default: str
    description: str


_AS_IN_FILE = "Empty: as in the parameter file."
ARGUMENTS = (
    Argument(
        "cameras",
        "",
        "Comma-separated name=topic for each camera, for example front=front/image_raw,left=/left/image_raw. Outputs "
        "appear under <node>/<name>/. A topic without a leading slash follows the namespace. Empty: as in the "
        f"parameter file; without one, camera={DEFAULT_TOPIC}.",
    ),
    Argument(
        "transport",
        "",
        "raw (sensor_msgs/Image on each camera's topic) or compressed (CompressedImage on <topic>/compressed). "
        f"{_AS_IN_FILE}",
    ),
    Argument("model", "", f"A model bundle's path, or the name of a shipped one. {_AS_IN_FILE}"),
    Argument("device", "", f"auto, cpu, cuda or cuda:N. {_AS_IN_FILE}"),
    Argument(
        "params_file",
        "",
        "A parameter file; config/seg.param.yaml is one to copy, with every parameter. Empty: the node's defaults.",
    ),
    Argument("node_name", NODE_NAME, "The node's name."),
    Argument("namespace", "", "The node's namespace, for example ego, below that of the including launch file."),
    Argument("autostart", "", f"false: a lifecycle manager configures and activates the node. {_AS_IN_FILE}"),
    Argument("log_level", "", f"{', '.join(LOG_LEVELS)}. Empty: info."),
    Argument("respawn", "false", "true: start the node again, after 2 s, whenever it ends."),
    Argument("use_sim_time", "", f"true: the node's clock follows /clock. {_AS_IN_FILE}"),
    Argument(
        "shared_memory",
        "true",
        "Give the node a Fast DDS profile that moves big images through shared memory "
        "(config/shared_memory.xml); a profile that the environment already names is kept.",
    ),
    Argument("rviz", "false", "Also start RViz with the overlay and the mask of the first camera."),
)


@dataclass(frozen=True)
class Bringup:
    """How the node is started. ``parameters`` override those in ``params_file``; ``environment`` is added to the
    caller's environment; ``namespace`` and ``log_level`` are empty for none."""

    node_name: str
    namespace: str
    params_file: Path | None
    parameters: dict[str, ParameterValue]
    log_level: str
    respawn: bool
    environment: dict[str, str]
    rviz: bool
    rviz_config: Path
    rviz_remappings: list[tuple[str, str]]


def with_defaults(arguments: Mapping[str, str], known: Sequence[Argument]) -> dict[str, str]:
    """The value of each ``known`` argument by name. Raises ValueError, which names an argument that is not known."""
    values = {argument.name: argument.default for argument in known}
    for name, value in arguments.items():
        if name not in values:
            raise ValueError(f"{name}: there is no such argument; the arguments are {', '.join(values)}")
        values[name] = value.strip()
    return values


def bringup(arguments: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Bringup:
    """Turn launch arguments into a Bringup. ``arguments`` are strings by the names in ``ARGUMENTS``; a missing one has
    its default.

    ``environ`` is the caller's environment (default: this process's). Raises ValueError with one line that names the
    argument and says what is wrong and what would be right.
    """
    values = with_defaults(arguments, ARGUMENTS)
    for name, known in (("transport", TRANSPORTS), ("log_level", LOG_LEVELS)):
        if values[name] not in ("", *known):
            raise ValueError(f"{name}: {quoted(values[name])} is not one of {', '.join(known)}")
    if not is_camera_name(values["node_name"]):
        raise ValueError(f"node_name: {quoted(values['node_name'])} is not {NAME}")
    if values["namespace"] not in ("", "/") and not is_topic_name(values["namespace"]):
        raise ValueError(
            f"namespace: {quoted(values['namespace'])} is not a ROS namespace such as ego or /ego/perception"
        )
    share = share_folder()
    cameras = parse_cameras(values["cameras"]) if values["cameras"] else {}
    params_file = _params_file(values["params_file"])
    shown = next(iter(cameras or (cameras_in(params_file) if params_file else ())), "camera")
    return Bringup(
        node_name=values["node_name"],
        namespace="" if values["namespace"] == "/" else values["namespace"],
        params_file=params_file,
        parameters=_parameters(values, cameras),
        log_level=values["log_level"],
        respawn=_boolean(values, "respawn"),
        environment=_environment(values, share, os.environ if environ is None else environ),
        rviz=_boolean(values, "rviz"),
        rviz_config=share / "config" / "seg.rviz",
        rviz_remappings=[
            (f"/{NODE_NAME}/camera/{output}", f"{values['node_name']}/{shown}/{output}")
            for output in ("overlay", "mask")
        ],
    )


def ros_args(plan: Bringup) -> list[str]:
    """The arguments after ``python -m unet_seg_ros.ros.node`` that start the node as planned, without launch."""
    args = ["--ros-args", "-r", f"__node:={plan.node_name}"]
    if plan.namespace:
        args += ["-r", f"__ns:=/{plan.namespace.removeprefix('/')}"]
    if plan.params_file:
        args += ["--params-file", str(plan.params_file)]
    for name, value in plan.parameters.items():
        # JSON is YAML in which every string is quoted, so a camera named `y` or `off` stays a string.
        args += ["-p", f"{name}:={json.dumps(value)}"]
    return args + (["--log-level", plan.log_level] if plan.log_level else [])


def write_parameters(plan: Bringup) -> Path:
    """Write ``plan.parameters`` to a temporary parameter file, which the caller deletes.

    launch_ros would write a camera named ``y`` unquoted, which ROS reads as a boolean.
    """
    with tempfile.NamedTemporaryFile("w", prefix="unet_seg_ros_", suffix=".yaml", delete=False) as file:
        json.dump({"/**": {"ros__parameters": plan.parameters}}, file)
    return Path(file.name)


def parse_cameras(text: str) -> dict[str, str]:
    """``front=/front/image_raw,left=/left/image_raw`` → topic by camera name, in order. Raises ValueError."""
    cameras: dict[str, str] = {}
    for entry in text.split(","):
        name, equals, topic = (part.strip() for part in entry.partition("="))
        if not equals:
            raise ValueError(f"cameras: {quoted(entry.strip())} is not name=topic, for example front=/front/image_raw")
        if not is_camera_name(name):
            raise ValueError(f"cameras: {quoted(name)} is not a camera name: it must be {NAME}")
        if name in cameras:
            raise ValueError(f"cameras: the name {quoted(name)} appears twice; give every camera its own name")
        if not is_topic_name(topic):
            raise ValueError(
                f"cameras: {quoted(topic)}, the topic of {quoted(name)}, is not a topic's name such as "
                f"/front/image_raw, of at most {MAX_TOPIC} characters"
            )
        cameras[name] = topic
    return cameras


def is_camera_name(name: str) -> bool:
    """Whether ``name`` can be one part of a topic's name."""
    return _TOKEN.fullmatch(name) is not None


def is_topic_name(name: str) -> bool:
    """Whether ``name`` is a valid topic, absolute or relative to the node's namespace."""
    return len(name) <= MAX_TOPIC and all(_TOKEN.fullmatch(token) for token in name.removeprefix("/").split("/"))


def _params_file(text: str) -> Path | None:
    path = of_user(text)
    if text and not os.path.isfile(path):
        raise ValueError(f"params_file: there is no file {quoted(str(path), LINE)}")
    return path if text else None


def _boolean(values: Mapping[str, str], name: str) -> bool:
    try:
        return _BOOLEANS[values[name].lower()]
    except KeyError:
        raise ValueError(f"{name}: {quoted(values[name])} is neither true nor false") from None


def _parameters(values: Mapping[str, str], cameras: Mapping[str, str]) -> dict[str, ParameterValue]:
    parameters: dict[str, ParameterValue] = {"cameras": list(cameras)} if cameras else {}
    if not cameras and not values["params_file"]:
        cameras = {"camera": DEFAULT_TOPIC}
    parameters |= {f"topic.{name}": topic for name, topic in cameras.items()}
    parameters |= {name: values[name] for name in ("transport", "model", "device") if values[name]}
    parameters |= {name: _boolean(values, name) for name in ("autostart", "use_sim_time") if values[name]}
    return parameters


def _environment(values: Mapping[str, str], share: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if not _boolean(values, "shared_memory") or any(environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(share / "config" / "shared_memory.xml"))

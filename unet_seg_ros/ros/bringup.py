"""Launch arguments → parameters, remappings and environment of the node. Imports neither ROS nor launch.

The launch file, the replay and the tests all start the node through here.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unet_seg_ros.ros.parameter_table import TRANSPORTS
from unet_seg_ros.share import share_folder

NODE_NAME = "segmentation"

# Fast DDS 3 (from Kilted on) reads the first of these, Fast DDS 2 (Jazzy, Humble) the second.
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

ParameterValue = bool | str | list[str]


@dataclass(frozen=True)
class Argument:
    """A launch argument; one whose default is empty leaves the matter to the parameter file."""

    name: str
    default: str
    description: str


ARGUMENTS = (
    Argument(
        "cameras",
        "camera=/camera/image_raw",
        "Comma-separated name=topic for each camera, for example front=/front/image_raw,left=/left/image_raw. "
        "Outputs appear under <node>/<name>/. Replaces the cameras of the parameter file.",
    ),
    Argument(
        "transport",
        "",
        "raw (sensor_msgs/Image on each camera's topic) or compressed (CompressedImage on <topic>/compressed). "
        "Empty: as in the parameter file.",
    ),
    Argument("model", "", "A model bundle's path, or the name of a shipped one. Empty: as in the parameter file."),
    Argument("device", "", "auto, cpu, cuda or cuda:N. Empty: as in the parameter file."),
    Argument("params_file", "", "A parameter file. Empty: the package's own config/seg.param.yaml."),
    Argument("namespace", "", "The node's namespace, for example /ego. Empty: none."),
    Argument("use_sim_time", "", "true: the node's clock follows /clock. Empty: as in the parameter file."),
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
    """What a launch comes to. ``parameters`` win over those in ``params_file``; ``environment`` is set for the node
    on top of the caller's."""

    namespace: str
    params_file: Path
    parameters: dict[str, ParameterValue]
    remappings: list[tuple[str, str]]
    environment: dict[str, str]
    rviz: bool
    rviz_config: Path
    rviz_remappings: list[tuple[str, str]]


def bringup(arguments: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Bringup:
    """The meaning of launch arguments, strings by name as in ``ARGUMENTS``; one that is absent has its default.

    ``environ`` is the caller's environment (default: this process's). Raises ValueError with one line that names the
    argument, what is wrong with it and what would be right.
    """
    values = {argument.name: argument.default for argument in ARGUMENTS}
    for name, value in arguments.items():
        if name not in values:
            raise ValueError(f"{name}: there is no such argument; there are {', '.join(values)}")
        values[name] = value.strip()
    share = share_folder()
    cameras = parse_cameras(values["cameras"])
    namespace = _namespace(values["namespace"])
    return Bringup(
        namespace=namespace,
        params_file=_params_file(values["params_file"], share),
        parameters=_parameters(values, list(cameras)),
        remappings=_camera_remappings(cameras),
        environment=_environment(values, share, os.environ if environ is None else environ),
        rviz=_boolean(values, "rviz"),
        rviz_config=share / "config" / "seg.rviz",
        rviz_remappings=_rviz_remappings(namespace, next(iter(cameras))),
    )


def ros_args(plan: Bringup) -> list[str]:
    """The arguments after ``python -m unet_seg_ros.ros.node`` that start the node as planned."""
    args = ["--ros-args"]
    if plan.namespace:
        args += ["-r", f"__ns:={plan.namespace}"]
    for source, target in plan.remappings:
        args += ["-r", f"{source}:={target}"]
    args += ["--params-file", str(plan.params_file)]
    for name, value in plan.parameters.items():
        # JSON is YAML with every string quoted: a camera named `y` or `off` stays a string.
        args += ["-p", f"{name}:={json.dumps(value)}"]
    return args


def parse_cameras(text: str) -> dict[str, str]:
    """``front=/front/image_raw,left=/left/image_raw`` → topic by camera name, in order. Raises ValueError."""
    cameras: dict[str, str] = {}
    for entry in text.split(","):
        name, equals, topic = (part.strip() for part in entry.partition("="))
        if not equals:
            raise ValueError(f"cameras: {entry.strip()!r} is not name=topic, for example front=/front/image_raw")
        if not is_camera_name(name):
            raise ValueError(
                f"cameras: {name!r} can't be a camera's name: letters, digits and underscores, no digit first"
            )
        if name in cameras:
            raise ValueError(f"cameras: {name!r} is there twice; every camera needs a name of its own")
        if not _is_absolute(topic):
            raise ValueError(
                f"cameras: {topic!r}, the topic of {name!r}, is not an absolute topic name such as /front/image_raw"
            )
        cameras[name] = topic
    return cameras


def is_camera_name(name: str) -> bool:
    """Whether it can be a token of a topic's name."""
    return _TOKEN.fullmatch(name) is not None


def is_topic_name(name: str) -> bool:
    """Whether it is an absolute topic's name, or one relative to the node's namespace."""
    return _is_absolute(name if name.startswith("/") else f"/{name}")


def _is_absolute(name: str) -> bool:
    """Whether it is an absolute ROS name: a slash before each token, none at the end."""
    return name.startswith("/") and all(_TOKEN.fullmatch(token) for token in name[1:].split("/"))


def _namespace(text: str) -> str:
    namespace = "" if text in ("", "/") else "/" + text.removeprefix("/")
    if namespace and not _is_absolute(namespace):
        raise ValueError(f"namespace: {text!r} is not a ROS namespace such as /ego or /ego/perception")
    return namespace


def _params_file(text: str, share: Path) -> Path:
    path = Path(text).expanduser() if text else share / "config" / "seg.param.yaml"
    if not path.is_file():
        raise ValueError(f"params_file: there is no file {path}")
    return path


def _boolean(values: Mapping[str, str], name: str) -> bool:
    try:
        return _BOOLEANS[values[name].lower()]
    except KeyError:
        raise ValueError(f"{name}: {values[name]!r} is neither true nor false") from None


def _parameters(values: Mapping[str, str], cameras: list[str]) -> dict[str, ParameterValue]:
    if values["transport"] not in ("", *TRANSPORTS):
        raise ValueError(f"transport: {values['transport']!r} is none of {', '.join(TRANSPORTS)}")
    parameters: dict[str, ParameterValue] = {"cameras": cameras}
    parameters |= {name: values[name] for name in ("transport", "model", "device") if values[name]}
    if values["use_sim_time"]:
        parameters["use_sim_time"] = _boolean(values, "use_sim_time")
    return parameters


def _camera_remappings(cameras: Mapping[str, str]) -> list[tuple[str, str]]:
    """Both transports' topics, since the transport may also come from the parameter file or change later."""
    return [
        (f"~/{name}/image{suffix}", f"{topic}{suffix}")
        for name, topic in cameras.items()
        for suffix in ("", "/compressed")
    ]


def _environment(values: Mapping[str, str], share: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if not _boolean(values, "shared_memory") or any(environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(share / "config" / "shared_memory.xml"))


def _rviz_remappings(namespace: str, camera: str) -> list[tuple[str, str]]:
    """From the topics that the RViz layout shows to those of this launch's first camera."""
    shown = f"/{NODE_NAME}/camera"
    return [(f"{shown}/{output}", f"{namespace}/{NODE_NAME}/{camera}/{output}") for output in ("overlay", "mask")]

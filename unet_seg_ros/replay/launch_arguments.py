"""Launch arguments → the command line of the replay. Imports neither ROS nor launch."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from unet_seg_ros.ros.bringup import Argument, with_defaults
from unet_seg_ros.text import quoted

ARGUMENTS = (
    Argument("source", "", "The drive: a rosbag2 (folder, .mcap or .db3), a video file or an image folder. Required."),
    Argument("output", "replay", "The folder for the report and the recording."),
    Argument("model", "", "A model bundle's path, or the name of a shipped one. Empty: the shipped nano."),
    Argument("device", "", "auto, cpu, cuda or cuda:N. Empty: auto."),
    Argument("node", "", "Play the drive live to this running node, for example /segmentation. Empty: replay offline."),
    Argument("arguments", "", "More options of the command, as in a shell; see `ros2 run unet_seg_ros replay --help`."),
)


def command_line(arguments: Mapping[str, str]) -> list[str]:
    """The options of the command ``replay``. ``arguments`` are strings by the names in ``ARGUMENTS``; a missing one has
    its default.

    Raises ValueError with one line that names the argument and what would be right.
    """
    values = with_defaults(arguments, ARGUMENTS)
    if not values["source"]:
        raise ValueError("source: name the drive, for example source:=drive.mcap")
    try:
        more = shlex.split(values["arguments"])
    except ValueError as error:
        raise ValueError(f"arguments: {quoted(values['arguments'])}: {error}") from error
    named = [
        part for name in ("output", "model", "device", "node") if values[name] for part in (f"--{name}", values[name])
    ]
    return [values["source"], *named, *more]

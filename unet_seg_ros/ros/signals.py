"""Signals that come before ROS takes them: importing this module ends the node's process quietly for each.

Starting Python and importing ROS takes a second or more, and ``docker stop`` may come then. It has an effect in the
node's own process alone.
"""

import os
import signal
import sys
from pathlib import Path

OWN = ("node.py", "segmentation")
"""Names of the program that is the node."""
_by_ros = False


def leave_to_ros() -> None:
    """To be called once ROS has its own handlers, which call those that were there before as well."""
    global _by_ros
    _by_ros = True


def by_ros() -> bool:
    """Whether ROS takes the signals."""
    return _by_ros


def _end(number: int, _: object) -> None:
    if not _by_ros:
        os._exit(0)  # nothing has begun that would have to be put away
    if number == signal.SIGINT:
        raise KeyboardInterrupt


if Path(sys.argv[0]).name in OWN:
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _end)

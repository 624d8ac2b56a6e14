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


def _end(*_: object) -> None:
    os._exit(0)  # nothing has begun that would have to be put away


if Path(sys.argv[0]).name in OWN:
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _end)

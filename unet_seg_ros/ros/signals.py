"""Signals that come before the node spins: importing this module ends its process with status 0 for each.

Starting Python, importing ROS and loading a model take seconds, and ``docker stop`` may come then. ROS's own handlers
call these as well. It has an effect in the node's own process alone.
"""

import os
import signal
import sys
from pathlib import Path

OWN = ("node.py", "segmentation")
"""Names of the program that is the node."""
IMPORTING, BEGINNING, SPINNING = range(3)
_phase = IMPORTING


def enter(phase: int) -> None:
    """Say how far the process is: ``BEGINNING`` once ROS is there, ``SPINNING`` once ROS alone ends it."""
    global _phase
    _phase = phase


def begun() -> bool:
    """Whether ROS was there once."""
    return _phase != IMPORTING


def _end(number: int, _: object) -> None:
    if _phase == IMPORTING:
        os._exit(0)  # nothing has begun that would have to be put away
    if _phase == BEGINNING or number == signal.SIGINT:
        raise KeyboardInterrupt


if Path(sys.argv[0]).name in OWN:
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _end)

"""Handles signals that come before the node spins: once this module is imported, they end the process with status 0.

Starting Python, importing ROS and loading a model take seconds, and ``docker stop`` may come then. ROS's own handlers
call these handlers too. The module has an effect only in the node's own process.
"""

import os
import signal
import sys
from pathlib import Path

OWN = ("node.py", "segmentation")
"""File names of the node's program."""
IMPORTING, BEGINNING, SPINNING = range(3)
_phase = IMPORTING


def enter(phase: int) -> None:
    """Set the phase of the process: ``BEGINNING`` once ROS is initialised, ``SPINNING`` once ROS handles signals
    alone."""
    global _phase
    _phase = phase


def begun() -> bool:
    """Whether ROS was initialised."""
    return _phase != IMPORTING


def _end(number: int, _: object) -> None:
    if _phase == IMPORTING:
        os._exit(0)  # nothing needs to be cleaned up yet
    if _phase == BEGINNING or number == signal.SIGINT:
        raise KeyboardInterrupt


if Path(sys.argv[0]).name in OWN:
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _end)

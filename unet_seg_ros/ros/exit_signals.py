"""Handles the signals that end the node: once this module is imported, they end the process with status 0.

Starting Python, importing ROS and loading a model take seconds, and ``docker stop`` may come then. ROS's own handlers
call these handlers too. The module has an effect only in the node's own process.

While the node spins, ROS shuts down at the signal and the node ends after the current callback. KeyboardInterrupt must
not break a callback off: a ``Thread.join`` that it ends takes the thread for ended, and a thread that still runs in C++
when Python ends makes the process abort.
"""

import os
import signal
import sys
from pathlib import Path

OWN = ("node.py", "segmentation")
"""File names of the node's program."""
IMPORTING, BEGINNING, SPINNING, ENDING = range(4)
_phase = IMPORTING


def enter(phase: int) -> None:
    """Set the phase of the process: ``BEGINNING`` once ROS is initialised, ``SPINNING`` once ROS handles signals alone,
    ``ENDING`` after the first of them."""
    global _phase
    _phase = phase


def begun() -> bool:
    """Whether ROS was initialised."""
    return _phase != IMPORTING


def _end(number: int, _: object) -> None:
    if _phase == IMPORTING:
        os._exit(0)  # nothing needs to be cleaned up yet
    if _phase == BEGINNING:
        raise KeyboardInterrupt
    if _phase == ENDING and number == signal.SIGINT:
        os._exit(130)  # a second Ctrl-C
    enter(ENDING)


if Path(sys.argv[0]).name in OWN:
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, _end)

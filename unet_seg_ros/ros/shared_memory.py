"""Whether Fast DDS's shared memory fits into /dev/shm, looked at before ROS starts. Imports no ROS.

A segment that does not fit ends the process with SIGBUS in the middle of a frame, without a word. A container has
64 MB there by default, which the segment of ``config/shared_memory.xml`` does not fit into.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from unet_seg_ros.ros.bringup import PROFILE_VARIABLES

SHM = Path("/dev/shm")
SPARE = 4 * 2**20
"""Bytes that are left for others, and for Fast DDS's own ports."""
SMALLEST = 8 * 2**20
"""Bytes of the smallest segment that is worth it: one frame of 1280×720 and what is on its way."""
DEFAULT_SEGMENT = 2**20
"""Bytes that Fast DDS takes without a profile: half a megabyte for each participant, and ports."""
WITHOUT = "FASTDDS_BUILTIN_TRANSPORTS"
"""The variable that chooses transports where there is no profile."""
_SEGMENT = re.compile(r"(<segment_size>)\s*(\d{1,12})\s*(</segment_size>)")
_MESSAGE = re.compile(r"(<maxMessageSize>)\s*(\d{1,12})\s*(</maxMessageSize>)")
ADVICE = "give the container more: docker run --shm-size=1g, or --ipc=host"


def fit(environ: MutableMapping[str, str], folder: Path = SHM) -> str:
    """Change ``environ`` so that what Fast DDS takes of ``folder`` fits: a smaller segment, or UDP alone.

    Returns what was done and what would be better, in one line; empty where all fits or nothing is known.
    """
    try:
        free = shutil.disk_usage(folder).free - SPARE
    except OSError:
        return ""
    paths = [Path(environ[name]) for name in PROFILE_VARIABLES if environ.get(name)]
    profile = _text(paths[0]) if paths else ""
    found = _SEGMENT.search(profile)
    wanted = int(found[2]) if found else DEFAULT_SEGMENT
    if free >= wanted or (paths and not found):
        return ""
    room = f"{folder} has {max(free + SPARE, 0) >> 20} MiB free, shared memory wants {(wanted + SPARE) >> 20}"
    size = free // 2**20 * 2**20
    if found and size >= SMALLEST:
        smaller = _MESSAGE.sub(lambda m: f"{m[1]}{min(int(m[2]), size // 2)}{m[3]}", profile)
        smaller = _SEGMENT.sub(rf"\g<1>{size}\g<3>", smaller)
        file = Path(tempfile.mkdtemp(prefix="unet_seg_ros_")) / "shared_memory.xml"
        file.write_text(smaller)
        environ.update(dict.fromkeys(PROFILE_VARIABLES, str(file)))
        return f"{room}: a segment of {size >> 20} MiB is taken, and large frames may be late; {ADVICE}"
    for name in PROFILE_VARIABLES:
        environ.pop(name, None)
    environ[WITHOUT] = "UDPv4"
    return f"{room}: UDP is used instead, and large frames are late; {ADVICE}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""

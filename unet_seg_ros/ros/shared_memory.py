"""Checks, before ROS starts, that Fast DDS's shared memory fits into /dev/shm. Imports no ROS.

With a segment that does not fit, SIGBUS ends the process without a message. A container has 64 MB there by default,
which is too small for the segment of ``config/shared_memory.xml``.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from unet_seg_ros.files import read_bytes
from unet_seg_ros.ros.bringup import PROFILE_VARIABLES

SHM = Path("/dev/shm")
MAX_BYTES = 2**20
"""Largest profile that is read."""
SPARE = 4 * 2**20
"""Bytes that are left free for other processes and for Fast DDS's ports."""
SMALLEST = 8 * 2**20
"""Bytes of the smallest useful segment: frames of 1280×720 pixels must fit."""
DEFAULT_SEGMENT = 2**20
"""Bytes that Fast DDS uses without a profile: half a megabyte for each participant, and ports."""
WITHOUT = "FASTDDS_BUILTIN_TRANSPORTS"
"""The environment variable that chooses the transports if there is no profile."""
_SEGMENT = re.compile(r"(<segment_size>)\s*(\d{1,12})\s*(</segment_size>)")
_MESSAGE = re.compile(r"(<maxMessageSize>)\s*(\d{1,12})\s*(</maxMessageSize>)")
ADVICE = "give the container more: docker run --shm-size=1g, or --ipc=host"


def fit(environ: MutableMapping[str, str], folder: Path = SHM) -> str:
    """Change ``environ`` so that Fast DDS's shared memory fits into ``folder``: a smaller segment, or only UDP.

    Returns one line that says what was changed and what would be better; empty if nothing was changed.
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
    room = f"{folder} has {max(free + SPARE, 0) >> 20} MiB free, but shared memory needs {(wanted + SPARE) >> 20}"
    size = free // 2**20 * 2**20
    if found and size >= SMALLEST and (file := _smaller(profile, size)):
        environ.update(dict.fromkeys(PROFILE_VARIABLES, str(file)))
        return f"{room}: a segment of {size >> 20} MiB is used, so large frames may be late; {ADVICE}"
    for name in PROFILE_VARIABLES:
        environ.pop(name, None)
    environ[WITHOUT] = "UDPv4"
    return f"{room}: UDP is used instead, so large frames will be late; {ADVICE}"


def _smaller(profile: str, size: int) -> Path | None:
    """A file with the profile and a segment of ``size`` bytes; None where none can be written."""
    smaller = _MESSAGE.sub(lambda m: f"{m[1]}{min(int(m[2]), size // 2)}{m[3]}", profile)
    smaller = _SEGMENT.sub(rf"\g<1>{size}\g<3>", smaller)
    try:
        file = Path(tempfile.mkdtemp(prefix="unet_seg_ros_")) / "shared_memory.xml"
        file.write_text(smaller)
    except OSError:
        return None
    return file


def _text(path: Path) -> str:
    try:
        return read_bytes(path, MAX_BYTES).decode()
    except (OSError, ValueError):
        return ""

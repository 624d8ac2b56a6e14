"""A drive: frames of one or several cameras, in order of time.

Frames are ROS messages, so that a recorded one is sent unchanged. The message classes are those of rosbags, which have
the same fields, so no ROS is imported.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from unet_seg_ros.data.ros_images import compressed_to_rgb, to_rgb
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE

Array = NDArray[np.uint8]
TYPES = get_typestore(Stores.ROS2_JAZZY)
"""Images are the same in every ROS 2 distribution."""


MAX_STAMP = 2**31 * 10**9 - 1
"""Largest stamp of a message, in nanoseconds."""
MAX_STEP = 60 * 10**9
"""Longest time between two frames in nanoseconds. A longer gap, such as the jump of a clock, is shortened to it."""
MAX_WAIT = 5 * MAX_STEP
"""Longest time in nanoseconds that all such gaps of a drive together are played as."""


@dataclass(frozen=True)
class DriveFrame:
    """One image of one camera.

    ``at_ns`` is its time since the start of the drive, ``stamp_ns`` the stamp in its header. ``message`` is a rosbags
    ``Image`` or, if the drive's ``transport`` is compressed, ``CompressedImage``. ``label`` is a file of Cityscapes
    label ids. ``name`` is the image file's name without suffixes, or the frame's number in a video. ``problem`` says
    why the message has no pixels, if that is known; ``note`` says what else is unusual.
    """

    camera: str
    at_ns: int
    stamp_ns: int
    message: Any
    label: Path | None = None
    name: str = ""
    problem: str = ""
    note: str = ""


class RecordingClock:
    """Tells when the frames of a recording are due. Jumps of the recording's clock are removed."""

    def __init__(self) -> None:
        self.jump = ""
        """What was wrong with the last frame's time; empty if nothing was."""
        self._last_ns: int | None = None
        self._at_ns = 0
        self._left_ns = MAX_WAIT

    def at(self, time_ns: int) -> int:
        """Nanoseconds since the start of the drive for a message that was recorded at ``time_ns``; they never
        decrease."""
        step = 0 if self._last_ns is None else time_ns - self._last_ns
        self._last_ns = time_ns
        played = max(step, 0)
        if step > MAX_STEP:
            played = min(MAX_STEP, self._left_ns)
            self._left_ns -= played
        self._at_ns += played
        self.jump = ""
        if played != step:
            takes = f"{played / 1e9:.0f} s" if played else "no time"
            self.jump = f"the recording's clock jumps by {step / 1e9:.3g} s; this is played as {takes}"
        return self._at_ns


@dataclass(frozen=True)
class Drive:
    """A drive.

    ``cameras`` are topics by camera name (compressed images use TOPIC/compressed). ``transport`` is raw or compressed.
    ``length`` is the number of frames (0: unknown). ``frames()`` yields them in order of time, from the start at each
    call, and raises SourceError if one cannot be read. ``files`` are the files of the drive. ``problems`` says which
    parts of the source are not played. ``stamps()`` yields camera and stamp of every frame without its pixels; it is
    None if no stamp is repeated."""

    source: Path
    cameras: dict[str, str]
    transport: str
    length: int
    frames: Callable[[], Iterator[DriveFrame]]
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    stamps: Callable[[], Iterator[tuple[str, int]]] | None = None

    def topic(self, camera: str) -> str:
        """The topic of the camera's images."""
        return self.cameras[camera] + ("/compressed" if self.transport == "compressed" else "")

    def city(self, camera: str) -> str:
        """The name of the camera's city, if its frames are written in Cityscapes layout: a-z, 0-9 and hyphens."""
        name = f"{self.source.stem}-{camera}" if len(self.cameras) > 1 else self.source.stem
        return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "drive"

    @property
    def message_type(self) -> str:
        """The message type of all frames."""
        return COMPRESSED_IMAGE if self.transport == "compressed" else IMAGE


def image_message(pixels: Array, encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """A rosbags ``Image`` as ``picture`` makes it, with a header of its own."""
    stamp = TYPES.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return picture(TYPES.types["std_msgs/msg/Header"](stamp, frame_id), pixels, encoding)


def picture(header: Any, pixels: Array, encoding: str) -> Any:
    """A rosbags ``Image`` of pixels uint8[H, W] or uint8[H, W, 3], not converted."""
    height, width = pixels.shape[:2]
    step = width if pixels.ndim == 2 else 3 * width
    return TYPES.types[IMAGE](header, height, width, encoding, 0, step, np.ascontiguousarray(pixels).reshape(-1))


def header_stamp(cdr: bytes, otherwise: int) -> int:
    """The stamp of a serialised message, in nanoseconds; ``otherwise`` if the message is too short.

    A message begins with four bytes of CDR, then the header, which begins with the stamp."""
    if len(cdr) < 12:
        return min(otherwise, MAX_STAMP)
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def message_pixels(message: Any) -> Array:
    """The frame in a rosbags ``Image`` or ``CompressedImage``, uint8[H, W, 3] RGB. Raises ImageError."""
    return compressed_to_rgb(message) if message.__msgtype__ == COMPRESSED_IMAGE else to_rgb(message)

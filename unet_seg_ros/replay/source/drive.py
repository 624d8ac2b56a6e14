"""What a drive is: frames of one or several cameras, in order of time.

Frames are ROS messages, so that one that was recorded is sent exactly as it was. They are those of rosbags, which
have the same fields: nothing of ROS is imported here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from unet_seg_ros.data.ros_images import compressed_to_rgb, stamp_ns, to_rgb
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE

Array = NDArray[np.uint8]
TYPES = get_typestore(Stores.ROS2_JAZZY)
"""Images are the same in every ROS 2 distribution."""


MAX_STAMP = 2**31 * 10**9 - 1
"""Nanoseconds: what a message's stamp can hold."""
MAX_STEP = 60 * 10**9
"""Nanoseconds between two frames: a longer gap of the recording, such as the jump of a clock that is set, is played as
this one."""


@dataclass(frozen=True)
class Frame:
    """What one camera sends at one time.

    ``at_ns`` is when, since the drive began; ``stamp_ns`` is its header's; ``message`` a rosbags ``Image`` or, where
    the drive's ``transport`` is compressed, ``CompressedImage``; ``label`` a file of Cityscapes label ids. ``name`` is
    an image file's, without suffixes, or the number of a frame of a video. ``problem`` says why the message has no
    pixels, if that is known; ``note`` what else is odd.
    """

    camera: str
    at_ns: int
    stamp_ns: int
    message: Any
    label: Path | None = None
    name: str = ""
    problem: str = ""
    note: str = ""


class DriveClock:
    """When the frames of a recording are due: a clock that was set meanwhile is not waited for."""

    def __init__(self) -> None:
        self.jump = ""
        """What was wrong with the last frame's time, empty if nothing was."""
        self._last_ns: int | None = None
        self._at_ns = 0

    def at(self, time_ns: int) -> int:
        """Nanoseconds since the drive began, of a message that was recorded at ``time_ns``; never less than before."""
        step = 0 if self._last_ns is None else time_ns - self._last_ns
        self._last_ns = time_ns
        self._at_ns += min(max(step, 0), MAX_STEP)
        self.jump = ""
        if not 0 <= step <= MAX_STEP:
            played = "no time" if step < 0 else f"{MAX_STEP / 1e9:.0f} s"
            self.jump = f"the recording's clock jumps by {step / 1e9:.3g} s: played as {played}"
        return self._at_ns


@dataclass(frozen=True)
class Drive:
    """A drive: ``cameras`` are their topics by name (a compressed image goes to TOPIC/compressed), ``transport`` is
    raw or compressed, ``length`` the number of frames (0 = unknown), ``frames()`` gives them in order of time, from
    the start at each call, and raises SourceError where it can't be read; ``files`` are what it is read from;
    ``problems`` what of the source is not played though one would expect it. ``stamps()`` gives camera and stamp of
    every frame without its pixels; None where each stamp is there once."""

    source: Path
    cameras: dict[str, str]
    transport: str
    length: int
    frames: Callable[[], Iterator[Frame]]
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    stamps: Callable[[], Iterator[tuple[str, int]]] | None = None

    def topic(self, camera: str) -> str:
        """Where the camera's images are published."""
        return self.cameras[camera] + ("/compressed" if self.transport == "compressed" else "")

    @property
    def message_type(self) -> str:
        """Of all frames."""
        return COMPRESSED_IMAGE if self.transport == "compressed" else IMAGE


def image_message(pixels: Array, encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """A rosbags ``Image`` of H×W×3 uint8 pixels as they lie."""
    kinds = TYPES.types
    height, width = pixels.shape[:2]
    stamp = kinds["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    header = kinds["std_msgs/msg/Header"](stamp, frame_id)
    return kinds[IMAGE](header, height, width, encoding, 0, width * 3, np.ascontiguousarray(pixels).reshape(-1))


def message_stamp(message: Any) -> int:
    """The stamp in a message's header, nanoseconds."""
    return stamp_ns(message.header)


def header_stamp(cdr: bytes, otherwise: int) -> int:
    """The same of a serialised message: each begins with four bytes of CDR's own and its header, and that with the
    stamp. ``otherwise`` if it is too short for one."""
    if len(cdr) < 12:
        return min(otherwise, MAX_STAMP)
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def message_pixels(message: Any) -> Array:
    """The frame in a rosbags ``Image`` or ``CompressedImage``, H×W×3 uint8 RGB. Raises images.ImageError."""
    return compressed_to_rgb(message) if message.__msgtype__ == COMPRESSED_IMAGE else to_rgb(message)

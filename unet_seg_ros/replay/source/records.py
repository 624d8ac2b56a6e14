"""What bag files of both kinds have in common: their messages, and the bounds that they are read within."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import zstandard

from unet_seg_ros.text import VALUE, one_line

MAX_MESSAGE = 2**28
"""Bytes of a message or of a chunk of messages, unpacked: ten times the largest picture that is read."""
MAX_TIME = 2**63 - 1
"""Nanoseconds; a later time is taken for this one."""
ZSTD = b"\x28\xb5\x2f\xfd"
"""How zstandard's frames begin. A CDR message begins with another byte."""


class Raw(NamedTuple):
    """One message, serialised as CDR; ``kind`` is ``package/msg/Name``, ``time_ns`` when it was recorded."""

    topic: str
    kind: str
    time_ns: int
    cdr: bytes


class Damaged(Exception):
    """Why a bag file, or a part of it, can't be read, in one line."""


class BagFile(Protocol):
    """A file of messages. ``damage`` says what was wrong with what was read of it so far, empty if nothing was."""

    damage: str

    def counts(self) -> dict[tuple[str, str], int]:
        """Messages by topic and kind, of all topics that have some."""

    def messages(self, wanted: Collection[str]) -> Iterator[Raw]:
        """Those of the topics ``wanted``, in order of time: all that can be read."""

    def close(self) -> None: ...


def unpacked(data: bytes, limit: int = MAX_MESSAGE) -> bytes:
    """What zstandard packed. Raises Damaged, also for more than ``limit`` bytes, before they exist."""
    try:
        told = zstandard.frame_content_size(data)
        if told > limit:
            raise Damaged(f"{len(data)} compressed bytes unpack to more than {limit}")
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            found: bytes = reader.read((limit if told < 0 else told) + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Damaged(f"compressed data can't be unpacked: {one_line(error, VALUE)}") from error
    if len(found) > limit:
        raise Damaged(f"{len(data)} compressed bytes unpack to more than {limit}")
    return found


def message(topic: str, kind: str, time_ns: int, cdr: bytes) -> Raw:
    """One that was read, unpacked if it was packed by itself. Raises Damaged."""
    if cdr.startswith(ZSTD):
        cdr = unpacked(cdr)
    return Raw(topic, kind, min(max(time_ns, 0), MAX_TIME), cdr)


def kind_of(name: str, encoding: str) -> str:
    """A message's kind by its type's name; one that is not serialised as CDR is another kind, which is no image."""
    return name if encoding == "cdr" else f"{name} in {encoding or 'an unknown encoding'}"


def no_room(path: Path) -> Damaged:
    """That a copy of a file can't be made."""
    return Damaged(f"{path.name}: there is no room to unpack it")

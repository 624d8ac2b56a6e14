"""Messages and limits that both kinds of bag files share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import zstandard

from unet_seg_ros.text import VALUE, one_line

MAX_MESSAGE = 2**28
"""Largest size in bytes of a message or of a chunk of messages, unpacked."""
MAX_TIME = 2**63 - 1
"""Latest time in nanoseconds; later times are replaced by it."""
ZSTD = b"\x28\xb5\x2f\xfd"
"""First bytes of zstandard data. A CDR message never begins with them."""


class Raw(NamedTuple):
    """A message, serialised as CDR. ``kind`` is ``package/msg/Name``, ``time_ns`` the time of recording."""

    topic: str
    kind: str
    time_ns: int
    cdr: bytes


class Damaged(Exception):
    """A bag file, or a part of it, cannot be read. The text says why in one line."""


class BagFile(Protocol):
    """A file of messages. ``damage`` says what was wrong so far; empty if nothing was."""

    damage: str

    def counts(self) -> dict[tuple[str, str], int]:
        """Numbers of messages by topic and kind."""

    def messages(self, wanted: Collection[str]) -> Iterator[Raw]:
        """All readable messages of the topics ``wanted``, in order of time."""

    def close(self) -> None: ...


def unpacked(data: bytes, limit: int = MAX_MESSAGE) -> bytes:
    """Unpack zstandard data. Raises Damaged, also if there would be more than ``limit`` bytes; they are not
    allocated."""
    try:
        size = zstandard.frame_content_size(data)
        if size > limit:
            raise Damaged(f"{len(data)} compressed bytes unpack to more than {limit}")
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            found: bytes = reader.read((limit if size < 0 else size) + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Damaged(f"compressed data cannot be unpacked: {one_line(error, VALUE)}") from error
    if len(found) > limit:
        raise Damaged(f"{len(data)} compressed bytes unpack to more than {limit}")
    return found


def message(topic: str, kind: str, time_ns: int, cdr: bytes) -> Raw:
    """A message that was read, unpacked if it is compressed. Raises Damaged."""
    if cdr.startswith(ZSTD):
        cdr = unpacked(cdr)
    return Raw(topic, kind, min(max(time_ns, 0), MAX_TIME), cdr)


def kind_of(name: str, encoding: str) -> str:
    """A message's kind: the name of its type, with the encoding if it is not serialised as CDR."""
    return name if encoding == "cdr" else f"{name} in {encoding or 'an unknown encoding'}"


def no_room(path: Path) -> Damaged:
    """The error that there is no space for a copy of a file."""
    return Damaged(f"{path.name}: there is not enough disk space to unpack it")

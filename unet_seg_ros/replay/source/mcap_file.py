"""Reads an MCAP file (https://mcap.dev/spec) by its index or, without one, from the start to the first damage.

The text of schemas is not read, so unknown types on other topics do no harm.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import lz4.frame
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex

from unet_seg_ros.files import open_regular
from unet_seg_ros.replay.source.bag_message import MAX_MESSAGE, Damaged, Raw, kind_of, message, unpacked
from unet_seg_ros.text import VALUE, last_words, one_line

MAGIC = b"\x89MCAP0\r\n"
MAX_INDEX = 2**28
"""Largest size in bytes of the index at the end of a file."""
MAX_WAITING = 2**28
"""Most bytes of messages that are kept to bring messages of overlapping chunks into order."""
OVERHEAD = 500
"""Bytes that a message takes in memory besides its contents. A chunk can hold millions of empty ones."""
_OPCODES = {*Opcode, *range(0x80, 0x100)}
"""Opcodes of the specification and of applications."""
_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_CHUNK = struct.Struct("<QQQI")
_FOOTER = struct.Struct("<BQQQI")


class _Place(NamedTuple):
    """The position of a chunk in the file, and the time of its first message."""

    start_time: int
    offset: int
    length: int
    channels: frozenset[int]


class McapFile:
    """An MCAP file. Raises Damaged if nothing can be read, OSError if the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.damage = ""
        self._stream = open_regular(path)
        self._size = self._stream.seek(0, 2)
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}
        self._chunks: list[_Place] = []
        self._statistics: dict[int, int] = {}
        self._given: Counter[int] = Counter()
        self._end = self._size
        try:
            if self._read(0, len(MAGIC)) != MAGIC:
                raise Damaged(f"{path.name} is empty" if not self._size else f"{path.name} is not an MCAP file")
            self._read_index()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def counts(self) -> dict[tuple[str, str], int]:
        """Numbers of messages by topic and kind, from the file's statistics or, without them, by counting."""
        found = Counter(self._statistics)
        if not (self._chunks and found):
            found = Counter(channel for channel, _, _ in self._all())
        by_topic: Counter[tuple[str, str]] = Counter()
        for channel, count in found.items():
            if channel in self._channels and count:
                by_topic[self._channels[channel]] += count
        return dict(by_topic)

    def messages(self, wanted: Collection[str]) -> Iterator[Raw]:
        """The messages in order of time; without an index, in order of the file."""
        self._given.clear()
        yield from self._in_order(wanted) if self._chunks else self._kept(self._from_the_beginning(), wanted)
        for channel, expected in self._statistics.items():
            topic, found = self._channels.get(channel, ("", ""))[0], self._given[channel]
            if topic in wanted and found < expected:
                self._note(f"it has only {found} of {expected} messages of {one_line(topic, VALUE)}")

    def _in_order(self, wanted: Collection[str]) -> Iterator[Raw]:
        """The messages in order of time, even if chunks overlap."""
        waiting: list[tuple[int, int, Raw]] = []
        size = number = 0
        for place in self._chunks:
            while waiting and waiting[0][0] <= place.start_time:
                *_, raw = heapq.heappop(waiting)
                size -= OVERHEAD + len(raw.cdr)
                yield raw
            if not self._may_hold(place, wanted):
                continue
            for raw in self._kept(self._at(place), wanted):
                heapq.heappush(waiting, (raw.time_ns, number, raw))
                number, size = number + 1, size + OVERHEAD + len(raw.cdr)
                while size > MAX_WAITING and len(waiting) > 1:
                    *_, raw = heapq.heappop(waiting)
                    size -= OVERHEAD + len(raw.cdr)
                    yield raw
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _may_hold(self, place: _Place, wanted: Collection[str]) -> bool:
        """Whether a chunk may hold messages of these topics, by its index."""
        known = {channel for channel in place.channels if channel in self._channels}
        return not known or known != place.channels or any(self._channels[channel][0] in wanted for channel in known)

    def _kept(self, found: Iterator[tuple[int, int, bytes]], wanted: Collection[str]) -> Iterator[Raw]:
        for channel, time_ns, cdr in found:
            if channel in self._channels and self._channels[channel][0] in wanted:
                try:
                    raw = message(*self._channels[channel], time_ns, cdr)
                except Damaged as error:
                    self._note(str(error))
                    continue
                self._given[channel] += 1
                yield raw

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage

    def _read(self, offset: int, length: int) -> bytes:
        """Read bytes. Raises Damaged if the file has fewer, before memory is allocated."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise Damaged("it is cut short")
        self._stream.seek(offset)
        return self._stream.read(length)

    # ---- the index at the end

    def _read_index(self) -> None:
        footer = _FOOTER.size + len(MAGIC)
        try:
            data = self._read(self._size - footer, footer)
            op, length, start, _, _ = _FOOTER.unpack_from(data)
            if not data.endswith(MAGIC) or (op, length) != (Opcode.FOOTER, 20):
                raise Damaged("it has no end: it is cut short")
            self._end = self._size - footer
            if not start:
                return  # a file may have no index
            if not len(MAGIC) <= start <= self._end or self._end - start > MAX_INDEX:
                raise Damaged("the position of its index is wrong")
            self._take_index(self._read(start, self._end - start))
        except Damaged as error:
            self._note(str(error))
            self._chunks = []

    def _take_index(self, data: bytes) -> None:
        found = []
        for op, start, end in _records(data):
            if op in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._define(op, data[start:end])
            elif op == Opcode.CHUNK_INDEX:
                try:
                    index = ChunkIndex.read(ReadDataStream(BytesIO(data[start:end])))
                except Exception as error:  # errors of the library and of struct
                    raise Damaged(f"its index is damaged: {one_line(error, VALUE)}") from error
                channels = frozenset(index.message_index_offsets)
                found.append(_Place(index.message_start_time, index.chunk_start_offset, index.chunk_length, channels))
            elif op == Opcode.STATISTICS:
                self._statistics = _counted(data[start:end])
        end = 0
        for place in sorted(found, key=lambda place: place.offset):
            if place.offset < end:
                raise Damaged("its index is damaged: chunks overlap")
            end = place.offset + max(place.length, 1)
        self._chunks = sorted(found)

    def _define(self, op: int, data: bytes) -> None:
        """Read a schema's name or a channel. One that cannot be read is ignored."""
        try:
            if op == Opcode.SCHEMA:
                number, (length,) = int.from_bytes(data[:2], "little"), struct.unpack_from("<I", data, 2)
                self._schemas[number] = data[6 : 6 + length].decode()
            else:
                channel = Channel.read(ReadDataStream(BytesIO(data)))
                kind = self._schemas.get(channel.schema_id, "no schema")
                self._channels[channel.id] = channel.topic, kind_of(kind, channel.message_encoding)
        except Exception:  # for example text that is not UTF-8, or wrong lengths
            return

    # ---- the messages

    def _all(self) -> Iterator[tuple[int, int, bytes]]:
        """Channel, time and content of all messages."""
        for place in self._chunks:
            yield from self._at(place)
        if not self._chunks:
            yield from self._from_the_beginning()

    def _at(self, place: _Place) -> Iterator[tuple[int, int, bytes]]:
        """Channel, time and content of the messages in a chunk. If it is damaged, only its own messages are lost."""
        try:
            op, length = _RECORD.unpack(self._read(place.offset, _RECORD.size))
            if op != Opcode.CHUNK or _RECORD.size + length != place.length:
                raise Damaged("there is no chunk at the position in its index")
            yield from self._in_chunk(self._read(place.offset + _RECORD.size, length))
        except Damaged as error:
            self._note(str(error))

    def _from_the_beginning(self) -> Iterator[tuple[int, int, bytes]]:
        at = len(MAGIC)
        try:
            while at + _RECORD.size <= self._end:
                op, length = _RECORD.unpack(self._read(at, _RECORD.size))
                if op not in _OPCODES:
                    raise Damaged(f"there is no record at byte {at}")
                if op == Opcode.DATA_END:
                    return
                at += _RECORD.size
                if op in (Opcode.CHUNK, Opcode.MESSAGE, Opcode.SCHEMA, Opcode.CHANNEL):
                    if length > MAX_MESSAGE:
                        raise Damaged(f"a record has {length} bytes")
                    yield from self._of_record(op, self._read(at, length))
                at += length
            if at != self._end or self._end == self._size:
                raise Damaged("it is cut short")
        except Damaged as error:
            self._note(str(error))

    def _of_record(self, op: int, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        if op == Opcode.CHUNK:
            try:
                yield from self._in_chunk(data)
            except Damaged as error:  # the next one may be readable
                self._note(str(error))
        elif op == Opcode.MESSAGE:
            yield _message(data, 0, len(data))
        else:
            self._define(op, data)

    def _in_chunk(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        records = _unpacked_chunk(data)
        for op, start, end in _records(records):
            if op == Opcode.MESSAGE:
                yield _message(records, start, end)
            elif op in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._define(op, records[start:end])


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, start and end of each record. Raises Damaged after the last complete one."""
    at = 0
    while at < len(data):
        if at + _RECORD.size > len(data):
            raise Damaged("a record is cut short")
        op, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            raise Damaged("a record is cut short")
        yield op, at, at + length
        at += length


def _counted(statistics: bytes) -> dict[int, int]:
    """Numbers of messages by channel from the statistics; empty if they are damaged."""
    at, pair = 46, struct.Struct("<HQ")
    if len(statistics) < at or (len(statistics) - at) % pair.size:
        return {}
    return dict(pair.iter_unpack(statistics[at:]))


def _message(data: bytes, start: int, end: int) -> tuple[int, int, bytes]:
    if end - start < _MESSAGE.size:
        raise Damaged("a message is cut short")
    channel, _, time_ns, _ = _MESSAGE.unpack_from(data, start)
    return channel, time_ns, data[start + _MESSAGE.size : end]


def _unpacked_chunk(data: bytes) -> bytes:
    """A chunk's records, unpacked. Raises Damaged if the chunk is damaged or too large."""
    if len(data) < _CHUNK.size + 4:
        raise Damaged("a chunk is cut short")
    _, _, size, checksum = _CHUNK.unpack_from(data)
    (length,) = struct.unpack_from("<I", data, _CHUNK.size)
    at = _CHUNK.size + 4 + length
    compression = data[_CHUNK.size + 4 : at]
    if size > MAX_MESSAGE:
        raise Damaged(f"a chunk unpacks to {size} bytes, more than {MAX_MESSAGE}")
    if at + 8 > len(data) or struct.unpack_from("<Q", data, at)[0] != len(data) - at - 8:
        raise Damaged("a chunk is cut short")
    packed = data[at + 8 :]
    if compression == b"":
        found = packed
    elif compression == b"zstd":
        found = unpacked(packed, size)
    elif compression == b"lz4":
        try:
            found = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
        except (RuntimeError, ValueError, MemoryError, EOFError) as error:
            raise Damaged(f"a chunk cannot be unpacked: {last_words(error)}") from error
    else:
        raise Damaged(f"a chunk has the unknown compression {one_line(compression, VALUE)}")
    if len(found) != size or (checksum and zlib.crc32(found) != checksum):
        raise Damaged("a chunk is damaged: its size or checksum is wrong")
    return found

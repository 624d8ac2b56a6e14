"""What can still be read of a damaged bag file: one that was cut short, or has a broken part in its middle."""

from __future__ import annotations

import itertools
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, NamedTuple

import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

ZSTD = b"\x28\xb5\x2f\xfd"
"""How zstandard's frames begin. A CDR message begins with another byte."""
BLIND = 1000
"""Broken rows in a row after which there will be no other."""


class Raw(NamedTuple):
    """One message, serialised as CDR; ``kind`` is ``package/msg/Name``, ``time_ns`` when it was recorded."""

    topic: str
    kind: str
    time_ns: int
    cdr: bytes


def salvage(file: Path) -> Iterator[Raw]:
    """The messages of an .mcap, .mcap.zstd or .db3 file that are whole, in the order in which they lie in it."""
    found = _sqlite(file) if file.suffix == ".db3" else _mcap(file) if ".mcap" in file.suffixes else iter(())
    for raw in found:
        if raw.cdr.startswith(ZSTD):  # each message on its own
            try:
                raw = raw._replace(cdr=zstandard.decompress(raw.cdr))
            except zstandard.ZstdError:
                continue
        yield raw


def _mcap(file: Path) -> Iterator[Raw]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with _opened(file) as stream:
        for record in _one_after_the_other(stream) if file.suffix == ".zstd" else _records(stream):
            inner = [record]
            if isinstance(record, Chunk):
                try:
                    inner = breakup_chunk(record, validate_crc=True)
                except Exception:  # whatever the decompressors raise: this chunk is lost, the next one may be whole
                    continue
            for part in inner:
                if isinstance(part, Schema):
                    schemas[part.id] = part
                elif isinstance(part, Channel):
                    channels[part.id] = part
                elif isinstance(part, Message) and part.channel_id in channels:
                    channel = channels[part.channel_id]
                    if channel.schema_id in schemas:
                        yield Raw(channel.topic, schemas[channel.schema_id].name, part.log_time, part.data)


def _records(stream: IO[bytes]) -> Iterator[McapRecord]:
    """By the file's own index, if it has one, else one after the other up to where it breaks off."""
    try:
        summary = make_reader(stream).get_summary()
    except Exception:  # it has none, or a broken one
        summary = None
    if summary and summary.chunk_indexes:
        yield from summary.schemas.values()
        yield from summary.channels.values()
        for chunk in sorted(summary.chunk_indexes, key=lambda chunk: chunk.message_start_time):
            stream.seek(chunk.chunk_start_offset)
            yield from itertools.islice(_one_after_the_other(stream, skip_magic=True), 1)
    else:
        stream.seek(0)
        yield from _one_after_the_other(stream)


def _one_after_the_other(stream: IO[bytes], skip_magic: bool = False) -> Iterator[McapRecord]:
    # a length that is nonsense must not be allocated
    records = StreamReader(stream, skip_magic, emit_chunks=True, record_size_limit=2**31).records
    while True:
        try:
            yield next(records)
        except (StopIteration, McapError, EOFError, ValueError, OSError, struct.error, zstandard.ZstdError):
            return


def _opened(file: Path) -> IO[bytes]:
    return zstandard.open(file, "rb") if file.suffix == ".zstd" else file.open("rb")  # type: ignore[return-value]


def _sqlite(file: Path) -> Iterator[Raw]:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
            base.execute("PRAGMA writable_schema = ON")  # else a file that is shorter than it says is not read at all
            topics = {row[0]: row[1:] for row in base.execute("SELECT id, name, type FROM topics")}
            yield from _rows(base, topics)
    except sqlite3.DatabaseError:
        return


def _rows(base: sqlite3.Connection, topics: dict[int, tuple[str, str]]) -> Iterator[Raw]:
    query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
    last = misses = 0
    while misses < BLIND:
        try:
            for row, topic, time_ns, data in base.execute(query, (last,)):
                last, misses = row, 0
                if topic in topics:
                    yield Raw(*topics[topic], time_ns, data)
            return
        except sqlite3.DatabaseError:
            last, misses = last + 1, misses + 1  # that row can't be read; those after it may be

"""The messages of a rosbag2, whole or damaged: MCAP or sqlite3, split, compressed, of any ROS 2 distribution."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rosbags.highlevel import AnyReader

from unet_seg_ros.replay.source.drive import COMPRESSED_IMAGE, IMAGE, TYPES, SourceError
from unet_seg_ros.replay.source.salvage import Raw, salvage

BAG_SUFFIXES = (".mcap", ".db3")
METADATA = "metadata.yaml"
NUMBERS = re.compile(r"(\d+)")


@dataclass
class Topic:
    """``count`` is its number of messages; ``first`` the first one, serialised, kept of images alone."""

    name: str
    kind: str
    count: int = 0
    first: bytes = b""


def bag_files(path: Path) -> list[Path]:
    """The files that hold messages, of a bag that is a folder or a file, in order: a split bag's are numbered."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.iterdir() if set(file.suffixes[-2:]) & set(BAG_SUFFIXES))
    return sorted(files, key=lambda file: [int(n) if i % 2 else n for i, n in enumerate(NUMBERS.split(file.name))])


def topics(path: Path) -> dict[str, Topic]:
    """Of all topics that hold something, by name. Raises SourceError if no message can be read."""
    try:
        with _reader(path) as reader:
            found = {c.topic: Topic(c.topic, c.msgtype) for c in reader.connections if c.msgcount}
            for connection in reader.connections:
                if connection.msgcount:
                    topic = found[connection.topic]
                    topic.count += connection.msgcount
                    if topic.kind in (IMAGE, COMPRESSED_IMAGE) and not topic.first:
                        topic.first = bytes(next(reader.messages([connection]))[2])
            return found
    except (Damaged, StopIteration) as error:
        damage = error
    found = {}
    for raw in _salvaged(path):
        topic = found.setdefault(raw.topic, Topic(raw.topic, raw.kind, first=raw.cdr))
        topic.count += 1
    if not found:
        raise SourceError(f"{path}: can't be read as a bag: {damage}")
    return found


class DamagedBag(SourceError):
    """All that can be read of a bag has been read, and it was not everything."""


def messages(path: Path, wanted: Collection[str]) -> Iterator[Raw]:
    """Those of the topics ``wanted``, in order of recording. Of a damaged bag all that can be read come, and then
    DamagedBag is raised."""
    given: Counter[str] = Counter()
    try:
        with _reader(path) as reader:
            connections = [connection for connection in reader.connections if connection.topic in wanted]
            for connection, time_ns, cdr in reader.messages(connections) if connections else ():
                given[connection.topic] += 1
                yield Raw(connection.topic, connection.msgtype, time_ns, cdr)
            return
    except Damaged as error:
        damage = error
    read = sum(given.values())
    for raw in _salvaged(path):
        if raw.topic in wanted:
            if given[raw.topic]:
                given[raw.topic] -= 1
            else:
                read += 1
                yield raw
    raise DamagedBag(f"{path}: damaged, {read} messages could be read: {damage}")


class Damaged(Exception):
    """What rosbags says of a bag that it can't read, in one line."""


@contextmanager
def _reader(path: Path) -> Iterator[AnyReader]:
    """Whatever rosbags raises becomes Damaged."""
    files = bag_files(path)
    if path.is_dir() and not (path / METADATA).exists():
        if len(files) > 1:
            raise SourceError(f"{path}: {len(files)} bag files and no {METADATA}; name one of the files")
        path = files[0]
    try:
        with AnyReader([path], default_typestore=TYPES) as reader:
            yield reader
    except (SourceError, GeneratorExit, StopIteration):
        raise
    except Exception as error:  # rosbags lets many kinds through: struct, sqlite3, YAML, assertions
        raise Damaged(" ".join(str(error).split()) or type(error).__name__) from error


def _salvaged(path: Path) -> Iterator[Raw]:
    for file in bag_files(path):
        yield from salvage(file)

"""Drives in from rosbag2: MCAP and sqlite3, raw and compressed images, one camera a topic."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from unet_seg_ros.images import ENCODINGS, ImageError, compressed_to_rgb
from unet_seg_ros.replay.drive import (
    COMPRESSED_IMAGE,
    IMAGE,
    TYPES,
    Drive,
    Frame,
    SourceError,
    image_message,
    message_stamp,
)
from unet_seg_ros.ros.bringup import NODE_NAME

BAG_SUFFIXES = (".mcap", ".db3")
METADATA = "metadata.yaml"
OUTPUTS = ("mask", "confidence", "color", "overlay")
"""Images that the node itself puts out: a bag of an earlier replay holds them beside the camera's."""


def is_bag(path: Path) -> bool:
    """Whether it is meant as one: by its suffix, or a folder that holds one."""
    if path.is_dir():
        return (path / METADATA).exists() or any(file.suffix in BAG_SUFFIXES for file in path.iterdir())
    return path.suffix in BAG_SUFFIXES


def open_bag(path: Path) -> Drive:
    """All cameras of a bag, named after their topics, at the rate at which they were recorded.

    Topics whose encoding can't be segmented (depth images) and the node's own outputs are left out. Where some cameras
    are raw and others compressed, those are decoded. Raises SourceError, listing the bag's topics if there are no
    images; reading the frames does so where two of one camera have the same stamp.
    """
    with _reader(path) as reader:
        topics = _image_topics(reader)
        if not topics:
            listed = ", ".join(f"{name} ({info.msgtype})" for name, info in reader.topics.items())
            raise SourceError(f"{path}: no camera images in this bag; its topics: {listed or 'none'}")
        kinds = {connection.msgtype for connections in topics.values() for connection in connections}
        length = sum(connection.msgcount for connections in topics.values() for connection in connections)
    transport = "compressed" if kinds == {COMPRESSED_IMAGE} else "raw"
    absolute = [f"/{topic.strip('/').removesuffix('/compressed')}" for topic in topics]
    names = camera_names(absolute)
    by_topic = dict(zip(topics, names, strict=True))
    return Drive(
        path, dict(zip(names, absolute, strict=True)), transport, length, lambda: _frames(path, by_topic, transport)
    )


def camera_names(topics: list[str]) -> list[str]:
    """A short name for each: /front/image_raw → front. Whole topics where the short ones are not unique."""
    parts = [topic.strip("/").split("/") for topic in topics]
    kept = [[token for token in tokens if not token.startswith("image")] or ["camera"] for tokens in parts]
    short = [tokens[-1] for tokens in kept]
    names = short if len(set(short)) == len(short) else ["_".join(tokens) for tokens in parts]
    return [name if not name[0].isdigit() else f"camera_{name}" for name in names]


@contextmanager
def _reader(path: Path) -> Iterator[AnyReader]:
    """Whatever rosbags raises becomes a SourceError of one line."""
    files = [file for file in path.iterdir() if file.suffix in BAG_SUFFIXES] if path.is_dir() else []
    if path.is_dir() and not (path / METADATA).exists():
        if len(files) > 1:
            raise SourceError(f"{path}: {len(files)} bag files and no {METADATA}; name one of the files")
        path = files[0]
    try:
        with AnyReader([path], default_typestore=TYPES) as reader:
            yield reader
    except (SourceError, GeneratorExit):
        raise
    except Exception as error:  # rosbags lets many kinds through: struct, sqlite3, YAML, assertions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: can't be read as a bag: {reason}") from error


def _image_topics(reader: AnyReader) -> dict[str, list[Connection]]:
    """The topics to play; where a camera has both, the raw one."""
    found: dict[str, list[Connection]] = {}
    for connection in reader.connections:
        if connection.msgtype in (IMAGE, COMPRESSED_IMAGE) and connection.msgcount:
            found.setdefault(connection.topic, []).append(connection)
    for topic in list(found):
        base = topic.removesuffix("/compressed")
        *folders, name = base.split("/")
        is_output = NODE_NAME in folders and name in OUTPUTS
        is_copy = topic != base and base in found
        if is_output or is_copy or not _can_be_segmented(reader, found[topic]):
            del found[topic]
    return found


def _can_be_segmented(reader: AnyReader, connections: list[Connection]) -> bool:
    """By the first message: a depth image is a camera's too."""
    for connection, _, raw in reader.messages(connections):
        message: Any = reader.deserialize(raw, connection.msgtype)
        known = connection.msgtype == COMPRESSED_IMAGE or message.encoding in ENCODINGS
        if not known:
            print(f"{connection.topic}: left out, {message.encoding} is not a camera's picture", file=sys.stderr)
        return known
    return False


def _frames(path: Path, cameras: dict[str, str], transport: str) -> Iterator[Frame]:
    with _reader(path) as reader:
        connections = [connection for connection in reader.connections if connection.topic in cameras]
        start: int | None = None
        stamps: dict[str, set[int]] = {topic: set() for topic in cameras}
        for connection, time_ns, raw in reader.messages(connections):
            start = time_ns if start is None else start
            message: Any = reader.deserialize(raw, connection.msgtype)
            stamp_ns = message_stamp(message)
            if stamp_ns in stamps[connection.topic]:  # a mask is its frame's by the stamp
                raise SourceError(
                    f"{path}: {connection.topic}: two frames have the stamp {stamp_ns} ns, so that their masks can't "
                    "be told apart; every frame of a camera needs a stamp of its own"
                )
            stamps[connection.topic].add(stamp_ns)
            if connection.msgtype == COMPRESSED_IMAGE and transport == "raw":
                message = _decoded(message)
            yield Frame(cameras[connection.topic], time_ns - start, stamp_ns, message)


def _decoded(message: Any) -> Any:
    """A compressed image as a raw one; one that can't be decoded as one without pixels, which the node refuses too."""
    try:
        pixels = compressed_to_rgb(message)
    except ImageError:
        pixels = np.zeros((0, 0, 3), np.uint8)
    return image_message(pixels, "rgb8", message_stamp(message), message.header.frame_id)

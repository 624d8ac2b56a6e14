"""Reads drives from rosbag2: each camera is a topic with raw or compressed images."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unet_seg_ros.data.ros_images import DEPTH, ENCODINGS, ImageError, compressed_to_rgb, not_a_picture, stamp_ns
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag_message import Raw
from unet_seg_ros.replay.source.bag_reader import (
    METADATA,
    DamagedBag,
    Topic,
    bag_files,
    is_bag_name,
    messages,
    silent_topics,
    topics,
    unlisted_files,
)
from unet_seg_ros.replay.source.drive import (
    TYPES,
    Drive,
    DriveFrame,
    RecordingClock,
    header_stamp,
    image_message,
)
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE
from unet_seg_ros.ros.bringup import NODE_NAME
from unet_seg_ros.text import VALUE, listed, one_line

logger = logging.getLogger(__name__)

NODE_IMAGES = ("mask", "confidence", "color", "overlay")
"""Images that the node publishes. A bag of an earlier replay holds them besides the camera's."""
MAX_CAMERAS = 64
"""Largest number of cameras of a drive, because each has a video in the report."""
MAX_LISTED = 50
"""Most topics of a bag that an error message lists."""


def is_bag(path: Path) -> bool:
    """Whether a path names a bag: by its suffix, or because the folder holds a bag."""
    if path.is_dir():
        return (path / METADATA).exists() or bool(bag_files(path))
    return is_bag_name(path)


def open_bag(path: Path, only: Collection[str] = (), labels: Collection[str] = ()) -> Drive:
    """Open the cameras of a bag, named after their topics: those of the topics ``only`` or, if it is empty, all except
    ``labels``.

    Depth images and the node's own outputs are not cameras. A camera whose encoding cannot be decoded is left out and
    named in the drive's ``problems``. If some cameras are raw and others compressed, compressed images are decoded.
    Raises SourceError that lists the bag's topics if there are no images or a topic is missing. Reading the frames of
    a damaged bag raises SourceError after the last readable frame.
    """
    played, unknown = _played(path, only, labels)
    transport = "compressed" if {topic.kind for topic in played.values()} == {COMPRESSED_IMAGE} else "raw"
    absolute = [f"/{name.strip('/').removesuffix('/compressed') or 'camera'}" for name in played]
    names = camera_names(absolute)
    by_topic = dict(zip(played, names, strict=True))
    return Drive(
        path,
        dict(zip(names, absolute, strict=True)),
        transport,
        sum(topic.count for topic in played.values()),
        lambda: _frames(path, by_topic, transport),
        tuple(bag_files(path)),
        (
            *_not_listed(path),
            *(
                f"{one_line(name, VALUE)}: left out, because its encoding {encoding} cannot be decoded; possible are "
                f"{', '.join(ENCODINGS)}"
                for name, encoding in unknown.items()
                if encoding not in DEPTH
            ),
        ),
        lambda: _stamps(path, by_topic),
    )


def _not_listed(path: Path) -> list[str]:
    files = unlisted_files(path)
    return [f"{path}: {METADATA} does not name {listed(files)}, so that this is not read"] if files else []


def _played(path: Path, only: Collection[str], labels: Collection[str]) -> tuple[dict[str, Topic], dict[str, str]]:
    """The topics to play, and the encodings of those that are left out because they can't be decoded."""
    found = topics(path)
    encodings = {topic.name: one_line(topic.encoding, VALUE) for topic in found.values() if topic.kind == IMAGE}
    kinds = [f"{topic.name} ({f'{topic.kind} {encodings.get(topic.name, str())}'.strip()})" for topic in found.values()]
    there = listed(kinds, MAX_LISTED) or "none"
    missing = [name for name in (*only, *labels) if name not in found]
    if missing:
        raise SourceError(f"{path}: no topic {listed(missing)} in this bag; its topics: {there}")
    others = [name for name in only if found[name].kind not in (IMAGE, COMPRESSED_IMAGE)]
    if others:
        raise SourceError(f"{path}: {listed(others)} holds no images; the bag's topics: {there}")
    if silent := [name for name in silent_topics(path) if name not in found]:
        logger.warning("%s: no message was recorded of %s", path, listed(silent))
    for topic in found.values():
        if topic.kind in (IMAGE, COMPRESSED_IMAGE) and (strange := topic.kinds - {IMAGE, COMPRESSED_IMAGE}):
            name = one_line(topic.name, VALUE)
            logger.warning("%s: %s holds %s too, which is not played", path, name, listed(sorted(strange)))
    if only:
        return {name: found[name] for name in only}, {}
    cameras = _cameras(found, labels)
    unknown = {name: e for name in cameras if (e := encodings.get(name)) and e not in ENCODINGS}
    depth = [n for n, topic in cameras.items() if encodings.get(n) in DEPTH or _is_compressed_depth(topic)]
    played = {n: topic for n, topic in cameras.items() if n not in unknown and n not in depth}
    if not played:
        raise SourceError(f"{path}: no camera images in this bag; its topics: {there}")
    if len(played) > MAX_CAMERAS:
        raise SourceError(f"{path}: {len(played)} cameras, {MAX_CAMERAS} at most: choose with --topic; {there}")
    if depth:
        logger.info("%s: depth images are not segmented: %s", path, listed(depth))
    return played, unknown


def camera_names(topics: list[str]) -> list[str]:
    """A short name for each topic: /front/image_raw → front. Full topics if the short names are not unique."""
    parts = [topic.strip("/").split("/") for topic in topics]
    kept = [[token for token in tokens if not token.startswith("image")] or ["camera"] for tokens in parts]
    short = [tokens[-1] for tokens in kept]
    names = short if len(set(short)) == len(short) else ["_".join(tokens) for tokens in parts]
    return _distinct([_token(name) for name in names])


def _token(name: str) -> str:
    """A camera's name in a form that is valid in topics, file names and tables."""
    token = re.sub(r"\W", "_", name[:VALUE], flags=re.ASCII) or "camera"
    return f"camera_{token}" if token[0].isdigit() else token


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{number}" for number, name in enumerate(names, 1)]


def _cameras(found: dict[str, Topic], labels: Collection[str]) -> dict[str, Topic]:
    """The topics to play; the raw one if a camera has both."""
    images = {name: topic for name, topic in found.items() if topic.kind in (IMAGE, COMPRESSED_IMAGE)}
    played = {}
    for name, topic in images.items():
        base = name.removesuffix("/compressed")
        *folders, last = base.split("/")
        is_output = NODE_NAME in folders and last in NODE_IMAGES
        is_copy = name != base and base in images
        if not is_output and not is_copy and name not in labels:
            played[name] = topic
    return played


def _is_compressed_depth(topic: Topic) -> bool:
    """Whether a topic holds compressed depth images, by the format of its first message."""
    return topic.kind == COMPRESSED_IMAGE and bool(not_a_picture(topic.encoding))


def _images(path: Path, cameras: Collection[str]) -> Iterator[Raw]:
    """The messages of the cameras that are images: a topic may hold others too."""
    return (raw for raw in messages(path, cameras) if raw.kind in (IMAGE, COMPRESSED_IMAGE))


def _stamps(path: Path, cameras: dict[str, str]) -> Iterator[tuple[str, int]]:
    try:
        for raw in _images(path, cameras):
            yield cameras[raw.topic], header_stamp(raw.cdr, raw.time_ns)
    except DamagedBag:
        return  # reading the frames reports it


def _frames(path: Path, cameras: dict[str, str], transport: str) -> Iterator[DriveFrame]:
    clock = RecordingClock()
    for raw in _images(path, cameras):
        at_ns = clock.at(raw.time_ns)
        message = _message(raw)
        problem = ""
        if transport == "raw" and message.__msgtype__ == COMPRESSED_IMAGE:
            message, problem = _decoded(message)
        camera = cameras[raw.topic]
        note = f"{camera}: {clock.jump}" if clock.jump else ""
        yield DriveFrame(camera, at_ns, stamp_ns(message.header), message, problem=problem, note=note)


def _message(raw: Raw) -> Any:
    """Deserialise a message. A damaged one becomes a message without pixels, which the node refuses too."""
    try:
        return TYPES.deserialize_cdr(raw.cdr, raw.kind)
    except Exception:  # rosbags does not check its input, so it raises errors of any type
        empty = image_message(np.zeros((0, 0, 3), np.uint8), "rgb8", header_stamp(raw.cdr, raw.time_ns), "")
        if raw.kind == IMAGE:
            return empty
        return TYPES.types[COMPRESSED_IMAGE](empty.header, "", np.zeros(0, np.uint8))


def _decoded(message: Any) -> tuple[Any, str]:
    """A compressed image as a raw one, and why it has no pixels if it cannot be decoded."""
    problem = ""
    try:
        pixels = compressed_to_rgb(message)
    except ImageError as error:
        pixels, problem = np.zeros((0, 0, 3), np.uint8), str(error)
    return image_message(pixels, "rgb8", stamp_ns(message.header), message.header.frame_id), problem

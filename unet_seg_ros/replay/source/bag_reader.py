"""Reads the messages of a rosbag2, complete or damaged: MCAP or sqlite3, split, compressed, of any ROS 2 distribution.

Only the requested topics are read, so unknown types on other topics do no harm. How much of a damaged file can be read
is decided in ``mcap_file`` and ``sqlite_file``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, cast

import zstandard

from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.files import natural_order, open_regular
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag_message import BagFile, Damaged, Raw, no_room
from unet_seg_ros.replay.source.drive import TYPES
from unet_seg_ros.replay.source.mcap_file import McapFile
from unet_seg_ros.replay.source.sqlite_file import SqliteFile
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE
from unet_seg_ros.text import last_words, listed, one_line

BAG_SUFFIXES = (".mcap", ".db3")
METADATA = "metadata.yaml"
MAX_METADATA = 2**24
"""Largest size of metadata.yaml in bytes, enough for a bag of ten thousand files."""
PACKED = ".zstd"
MAX_RATIO = 200
"""Largest ratio of unpacked to compressed size, for files that unpack to more than a gigabyte."""


@dataclass
class Topic:
    """``count`` is the number of messages of all ``kinds``. ``kind`` is the one of images if there are any, of raw ones
    if there are both. ``encoding`` is what the first image says: a raw one its encoding, a compressed one its format.
    """

    name: str
    kind: str
    count: int = 0
    encoding: str = ""
    kinds: set[str] = field(default_factory=set)

    def add(self, kind: str, count: int) -> None:
        """Count messages of a kind."""
        self.kinds.add(kind)
        self.count += count
        self.kind = next((image for image in (IMAGE, COMPRESSED_IMAGE) if image in self.kinds), self.kind)


class DamagedBag(SourceError):
    """A part of a bag cannot be read. It is raised after all readable messages."""


def bag_files(path: Path) -> list[Path]:
    """The files of a bag that hold messages, in order of their numbers. ``path`` is a folder or a file; hidden files
    are ignored."""
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if is_bag_name(file) and file.is_file()]
    return sorted(files, key=natural_order)


def is_bag_name(file: Path) -> bool:
    """Whether a file is a bag's by its name, also one that was compressed as a whole. Hidden files are none."""
    return file.name.lower().removesuffix(PACKED).endswith(BAG_SUFFIXES) and not file.name.startswith(".")


def topics(path: Path) -> dict[str, Topic]:
    """All topics with messages, by name. Raises SourceError if no message can be read."""
    found: dict[str, Topic] = {}
    damage = ""
    for file in _ordered(path)[0]:
        try:
            with _opened(file) as bag:
                for (name, kind), count in bag.counts().items():
                    found.setdefault(name, Topic(name, kind)).add(kind, count)
                _read_encodings(bag, found)
                damage = damage or bag.damage
        except Damaged as error:
            damage = damage or str(error)
    if not found and damage:
        raise SourceError(f"{path}: cannot be read as a bag: {damage}")
    return found


def _read_encodings(bag: BagFile, found: dict[str, Topic]) -> None:
    missing = {t.name for t in found.values() if t.kind in (IMAGE, COMPRESSED_IMAGE) and not t.encoding}
    for raw in bag.messages(missing) if missing else ():
        if raw.topic in missing and raw.kind == found[raw.topic].kind:
            missing.remove(raw.topic)
            with suppress(Exception):  # rosbags does not check its input, so it raises errors of any type
                image: Any = TYPES.deserialize_cdr(raw.cdr, raw.kind)
                found[raw.topic].encoding = image.encoding if raw.kind == IMAGE else image.format
        if not missing:
            return


def messages(path: Path, wanted: Collection[str]) -> Iterator[Raw]:
    """The messages of the topics ``wanted``, in order of recording. For a damaged bag, DamagedBag is raised after all
    readable messages."""
    files, damage = _ordered(path)
    read = 0
    for file in files:
        try:
            with _opened(file) as bag:
                for raw in bag.messages(wanted):
                    read += 1
                    yield raw
                damage = damage or bag.damage
        except Damaged as error:
            damage = damage or str(error)
    expected = sum(count for name, count in _expected(path).items() if name in wanted)
    if read < expected:
        damage = damage or f"according to {METADATA} there are {expected}"
    if damage:
        raise DamagedBag(f"{path}: damaged, {read} messages could be read: {damage}")


def _ordered(path: Path) -> tuple[list[Path], str]:
    """The bag's files in order, and what is wrong with their list, empty if nothing is."""
    files = bag_files(path)
    if not path.is_dir():
        return files, ""
    if not (path / METADATA).exists():
        if len(files) > 1:
            raise SourceError(f"{path}: {len(files)} bag files but no {METADATA}; name one of the files")
        return files, ""
    try:
        names = _listed_files(path)
    except Exception as error:  # any error, because the file may hold anything
        return files, f"{METADATA} cannot be read: {last_words(error)}"
    if not names and files:
        return files, f"{METADATA} names no file"
    there = {file.name: file for file in files}
    missing = [name for name in names if name not in there and f"{name}{PACKED}" not in there]
    if missing:
        return files, f"files are missing: {listed(missing)}"
    return [there.get(name) or there[f"{name}{PACKED}"] for name in names], ""


def _listed_files(path: Path) -> list[str]:
    """The names of the files in metadata.yaml, each once. Raises errors of any type."""
    return list(dict.fromkeys(PurePath(name).name for name in _metadata(path)["relative_file_paths"]))


def unlisted_files(path: Path) -> list[str]:
    """Files of a bag that metadata.yaml does not name, so that they are not read."""
    try:
        names = _listed_files(path)
    except Exception:  # there is none, or it cannot be read: then all files are read
        return []
    known = {*names, *(f"{name}{PACKED}" for name in names)}
    return [file.name for file in bag_files(path) if file.name not in known] if names else []


def _metadata(path: Path) -> dict[str, Any]:
    found = read_yaml(path / METADATA, MAX_METADATA, aliases=True)
    return cast("dict[str, Any]", found["rosbag2_bagfile_information"])


def silent_topics(path: Path) -> list[str]:
    """Topics of images that were recorded but have no message, as metadata.yaml says."""
    try:
        entries = _metadata(path)["topics_with_message_count"]
        kinds = {e["topic_metadata"]["name"]: e["topic_metadata"]["type"] for e in entries if not e["message_count"]}
        return [name for name, kind in kinds.items() if kind in (IMAGE, COMPRESSED_IMAGE)]
    except Exception:  # there is none, or it holds something else
        return []


def _expected(path: Path) -> dict[str, int]:
    """Numbers of messages by topic in metadata.yaml; empty if there are none."""
    try:
        entries = _metadata(path)["topics_with_message_count"]
        return {entry["topic_metadata"]["name"]: int(entry["message_count"]) for entry in entries}
    except Exception:  # without usable metadata the messages are read all the same
        return {}


@contextmanager
def _opened(file: Path) -> Iterator[BagFile]:
    """Open a bag file. Raises Damaged if nothing can be read."""
    with ExitStack() as stack:
        bag: BagFile
        try:
            damage = ""
            open_regular(file).close()  # refuses a pipe, at which sqlite would wait for ever
            if file.suffix.lower() == PACKED:
                file, damage = _unpacked(file, stack)
            bag = SqliteFile(file) if file.suffix.lower() == ".db3" else McapFile(file)
        except OSError as error:
            raise Damaged(one_line(error.strerror or error)) from error
        stack.callback(bag.close)
        bag.damage = bag.damage or damage
        yield bag


def _unpacked(file: Path, stack: ExitStack) -> tuple[Path, str]:
    """Unpack a file that was compressed as a whole. Returns the file and what was wrong. Raises Damaged, OSError."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    limit = min(2**30 + MAX_RATIO * file.stat().st_size, shutil.disk_usage(folder).free // 2)
    target, damage, size = folder / file.stem, "", 0
    with open_regular(file) as packed, target.open("wb") as out:
        try:
            for block in zstandard.ZstdDecompressor().read_to_iter(packed):
                size += len(block)
                if size > limit:
                    raise no_room(file)
                out.write(block)
        except zstandard.ZstdError as error:
            damage = f"{file.name}: {last_words(error)}"
    return target, damage

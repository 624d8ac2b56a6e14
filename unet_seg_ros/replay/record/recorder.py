"""Writes messages into an MCAP file that Foxglove, RViz and ``ros2 bag`` open. Needs no DDS."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from unet_seg_ros.share_folder import share_folder

UNFINISHED = ".recording"
"""Start of the names of folders in which a recording is written."""
WAITING = 16
"""Most messages that wait to be written."""


def typestore() -> Typestore:
    """All message types that are recorded. Raises FileNotFoundError if unet_seg_msgs is not found."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(_message_folder().glob("*.msg")):
        types.register(get_types_from_msg(file.read_text(encoding="utf-8"), f"unet_seg_msgs/msg/{file.stem}"))
    return types


def _message_folder() -> Path:
    """The folder of the message definitions: in a ROS prefix, in the virtual environment, or in the clone."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders = [prefix / "share" for prefix in (*prefixes, Path(sys.prefix))] + [share_folder()]
    for folder in folders:
        if (folder / "unet_seg_msgs" / "msg" / "ClassCoverage.msg").is_file():
            return folder / "unet_seg_msgs" / "msg"
    raise FileNotFoundError("unet_seg_msgs is not installed: there is no ClassCoverage.msg on AMENT_PREFIX_PATH")


class Message(NamedTuple):
    """A message to be written, of type ``kind`` (``package/msg/Name``), serialised as CDR."""

    topic: str
    kind: str
    stamp_ns: int
    cdr: bytes


class Recorder:
    """Writes messages in a thread, so that a slow disk delays nothing. ``path`` exists once the ``with`` block ends
    without an exception. If the disk is full, no file is written and ``problem`` says so; the replay continues."""

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._path = path
        self._types = typestore()
        self._connections: dict[str, Connection] = {}
        self._queue: Queue[Message | None] = Queue(WAITING)

    def __enter__(self) -> Recorder:
        # rosbags writes a folder with the file and its metadata; the file holds the metadata too
        self._folder = Path(tempfile.mkdtemp(dir=self._path.parent, prefix=UNFINISHED))
        self._writer = Writer(self._folder / "drive", version=9, storage_plugin=StoragePlugin.MCAP)
        try:
            self._writer.open()
        except OSError:
            shutil.rmtree(self._folder)
            raise
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()
        try:
            if kind is not None or self.problem:
                self._writer.abort()
            else:
                self._writer.close()
                (self._folder / "drive" / "drive.mcap").replace(self._path)
        except OSError as error:
            self._fail(error)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)  # another replay to the same folder may have removed it

    def write(self, topic: str, kind: str, stamp_ns: int, cdr: bytes) -> None:
        """Add a message of type ``kind`` (``package/msg/Name``), serialised as CDR, with its own stamp as its time."""
        self._queue.put(Message(topic, kind, stamp_ns, cdr))

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            if self.problem:
                continue  # else the sender would wait for ever
            try:
                self._add(message)
            except Exception as error:  # any error, because the sender would wait for this thread for ever
                self._fail(error)

    def _add(self, message: Message) -> None:
        if message.topic not in self._connections:
            self._connections[message.topic] = self._writer.add_connection(
                message.topic, message.kind, typestore=self._types
            )
        # MCAP has no times before 1970
        self._writer.write(self._connections[message.topic], max(message.stamp_ns, 0), message.cdr)

    def _fail(self, error: Exception) -> None:
        self.problem = self.problem or f"{self._path}: not recorded: {getattr(error, 'strerror', '') or error}"

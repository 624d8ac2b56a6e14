"""What goes over the topics, as an MCAP file that Foxglove, RViz and ``ros2 bag`` open. Needs no DDS."""

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

from unet_seg_ros.share import share_folder

UNFINISHED = ".recording"
"""How the folders begin in which a recording is written."""
WAITING = 16
"""Messages that may wait for the disk."""


def typestore() -> Typestore:
    """All message types that are recorded. Raises FileNotFoundError where unet_seg_msgs is not to be found."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(_message_folder().glob("*.msg")):
        types.register(get_types_from_msg(file.read_text(encoding="utf-8"), f"unet_seg_msgs/msg/{file.stem}"))
    return types


def _message_folder() -> Path:
    """Where the definitions lie that the node was built with: a ROS prefix, the virtual environment, or the clone."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders = [prefix / "share" for prefix in (*prefixes, Path(sys.prefix))] + [share_folder()]
    for folder in folders:
        if (folder / "unet_seg_msgs" / "msg" / "ClassCoverage.msg").is_file():
            return folder / "unet_seg_msgs" / "msg"
    raise FileNotFoundError("unet_seg_msgs is not installed: no ClassCoverage.msg on AMENT_PREFIX_PATH")


class Message(NamedTuple):
    """One to be written, of type ``kind`` (``package/msg/Name``), serialised as CDR."""

    topic: str
    kind: str
    stamp_ns: int
    cdr: bytes


class Recorder:
    """Writes messages in a thread, so that the disk holds up nobody. ``path`` exists once the block is left without an
    exception. Where the disk is full there will be no file: ``problem`` then says so, and all else can go on."""

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._path = path
        self._types = typestore()
        self._connections: dict[str, Connection] = {}
        self._queue: Queue[Message | None] = Queue(WAITING)

    def __enter__(self) -> Recorder:
        # rosbags writes a folder with metadata beside the file; the file holds that metadata too
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
            shutil.rmtree(self._folder)

    def write(self, topic: str, kind: str, stamp_ns: int, cdr: bytes) -> None:
        """Add one message of type ``kind`` (``package/msg/Name``), serialised as CDR, at its own stamp."""
        self._queue.put(Message(topic, kind, stamp_ns, cdr))

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            if self.problem:
                continue  # or the sender would wait for ever
            try:
                self._add(message)
            except Exception as error:  # whatever it is: a sender that waits for this thread would wait for ever
                self._fail(error)

    def _add(self, message: Message) -> None:
        if message.topic not in self._connections:
            self._connections[message.topic] = self._writer.add_connection(
                message.topic, message.kind, typestore=self._types
            )
        # MCAP knows no time before 1970
        self._writer.write(self._connections[message.topic], max(message.stamp_ns, 0), message.cdr)

    def _fail(self, error: Exception) -> None:
        self.problem = self.problem or f"{self._path}: not recorded: {getattr(error, 'strerror', '') or error}"

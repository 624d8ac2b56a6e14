"""What went over the topics, as an MCAP file that Foxglove and ``ros2 bag`` open."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from unet_seg_ros.share import share_folder


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


class Recorder:
    """Writes serialised messages as they come; ``path`` exists once the block is left without an exception."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._types = typestore()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Recorder:
        # rosbags writes a folder with metadata beside the file; the file holds that metadata too
        self._folder = Path(tempfile.mkdtemp(dir=self._path.parent, prefix=".recording"))
        self._writer = Writer(self._folder / "drive", version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is None:
                self._writer.close()
                (self._folder / "drive" / "drive.mcap").replace(self._path)
            else:
                self._writer.abort()
        finally:
            shutil.rmtree(self._folder)

    def write(self, topic: str, kind: str, stamp_ns: int, cdr: bytes) -> None:
        """Add one message of type ``kind`` (``package/msg/Name``), serialised as CDR, at its own stamp."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._types)
        self._writer.write(self._connections[topic], stamp_ns, cdr)

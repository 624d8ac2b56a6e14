"""Stands in for ROS's tf2_ros, of which there is no wheel: transforms come from the JSON file that TF_FILE names.

The file maps "TARGET SOURCE" to x, y, z, qx, qy, qz, qw. Only what the node calls is here, with its signatures.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time


class TransformException(Exception):
    pass


class LookupException(TransformException):
    pass


class InvalidArgumentException(TransformException):
    pass


class Buffer:
    def lookup_transform(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        for name in (target_frame, source_frame):
            if not name or name.startswith("/"):
                raise InvalidArgumentException(name)
        known: dict[str, Any] = json.loads(Path(os.environ["TF_FILE"]).read_text())
        if f"{target_frame} {source_frame}" not in known:
            raise LookupException(f"{target_frame} {source_frame}")
        found, at = TransformStamped(), known[f"{target_frame} {source_frame}"]
        move, turn = found.transform.translation, found.transform.rotation
        move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = at
        if target_frame == "odom":
            move.x += at[0] * (time.nanoseconds // 10**9 - 1)  # metres per second, from second 1 on
        return found


class TransformListener:
    def __init__(self, buffer: Buffer, node: Node) -> None:
        del buffer, node

    def unregister(self) -> None:
        pass

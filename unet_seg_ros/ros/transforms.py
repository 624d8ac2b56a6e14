"""Transforms from TF, if ``tf2_ros`` is installed."""

from __future__ import annotations

from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.time import Time


class Transform(NamedTuple):
    """The pose of one frame in another: translation in metres and rotation as a quaternion (x, y, z, w)."""

    x: float
    y: float
    z: float
    quaternion: tuple[float, float, float, float]


class Transforms:
    """Listens to TF from construction to ``destroy``."""

    def __init__(self, node: Node) -> None:
        self._listener: Any = None
        try:
            import tf2_ros
        except ImportError:
            return
        self._error = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    @property
    def available(self) -> bool:
        """Whether ``tf2_ros`` is installed."""
        return self._listener is not None

    def find(self, target: str, source: str, stamp: Any = None) -> Transform | None:
        """The pose of ``source`` in ``target`` at ``stamp`` (builtin_interfaces/Time; None: the latest), or None if TF
        does not know it or refuses a name, such as an empty one. Does not wait."""
        if self._listener is None:
            return None
        try:
            time = Time() if stamp is None else Time.from_msg(stamp)
            found = self._buffer.lookup_transform(target, source, time).transform
        except (self._error, ValueError):  # ValueError: a stamp before 1970
            return None
        at, turn = found.translation, found.rotation
        return Transform(at.x, at.y, at.z, (turn.x, turn.y, turn.z, turn.w))

    def destroy(self) -> None:
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

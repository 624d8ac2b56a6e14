"""Between the executor, which receives frames, and the worker, which segments them. Imports no ROS."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot a camera, in which the newest frame replaces one that nobody has taken yet."""

    def __init__(self) -> None:
        self._slots: dict[str, T] = {}
        self._condition = Condition()
        self._closed = False

    def put(self, camera: str, item: T) -> bool:
        """Leave a frame; True if it replaced an older one. A closed mailbox drops it, and says True too."""
        with self._condition:
            if self._closed:
                return True
            # Replacing keeps the camera's place in the queue, so a fast camera starves no slow one.
            replaced = camera in self._slots
            self._slots[camera] = item
            self._condition.notify()
            return replaced

    def take(self, group: Callable[[str], Hashable]) -> dict[str, T]:
        """Wait for a frame and take it with those of the same ``group``, the camera that waits longest first.

        The other cameras' frames stay, and may be replaced by newer ones meanwhile. Empty once the mailbox is closed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._slots or self._closed)
            if self._closed:
                return {}
            wanted = group(next(iter(self._slots)))
            cameras = [camera for camera in self._slots if group(camera) == wanted]
            return {camera: self._slots.pop(camera) for camera in cameras}

    def close(self) -> list[str]:
        """Wake the worker up for good; returns the cameras whose frame was still waiting."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            return list(self._slots)

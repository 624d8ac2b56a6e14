"""Passes frames from the executor, which receives them, to the worker, which segments them. Imports no ROS."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot per camera, in which a new frame replaces one that was not taken yet."""

    def __init__(self) -> None:
        self._slots: dict[str, T] = {}
        self._condition = Condition()
        self._closed = False

    def put(self, camera: str, item: T) -> bool:
        """Put a frame into the camera's slot. Returns True if a frame was dropped: the older one or, if the mailbox is
        closed, this one."""
        with self._condition:
            if self._closed:
                return True
            # A replaced frame keeps the camera's place in the queue, so that a fast camera does not delay a slow one.
            replaced = camera in self._slots
            self._slots[camera] = item
            self._condition.notify()
            return replaced

    def take(self, group: Callable[[str], Hashable]) -> dict[str, T]:
        """Wait for a frame and take the one that waits longest, with all others of the same ``group``.

        Frames of other groups stay; newer ones may replace them. Returns an empty dict once the mailbox is closed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._slots or self._closed)
            if self._closed:
                return {}
            wanted = group(next(iter(self._slots)))
            cameras = [camera for camera in self._slots if group(camera) == wanted]
            return {camera: self._slots.pop(camera) for camera in cameras}

    def close(self) -> list[str]:
        """Make every ``take`` return at once; returns the cameras whose frames were still waiting."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            return list(self._slots)

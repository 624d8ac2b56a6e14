"""The worker thread: takes frames from the mailbox, segments them and publishes the results. No frame can end it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.impl.rcutils_logger import RcutilsLogger

from unet_seg_ros.data.ros_images import ImageError
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.health.trust import unsegmented
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.ros.camera import Camera
from unet_seg_ros.ros.diagnostics import EngineStats
from unet_seg_ros.ros.mailbox import Mailbox
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.segmenter import Segmentation, Segmenter
from unet_seg_ros.vocabulary import Drop

WARN_EVERY = 5.0
"""Fewest seconds between two warnings of the same kind about one camera."""


@dataclass
class Waiting:
    """A frame's message, the time of its arrival by ``time.monotonic``, and the seconds that decoding took."""

    message: Any
    received: float
    decode: float = 0.0


class Worker:
    """Runs from construction to ``stop``. ``settings`` returns the current settings. ``on_device_lost`` is called with
    the reason, on the worker's thread."""

    def __init__(
        self,
        segmenter: Segmenter,
        cameras: Mapping[str, Camera],
        stats: EngineStats,
        settings: Callable[[], Settings],
        logger: RcutilsLogger,
        on_device_lost: Callable[[str], None],
    ) -> None:
        self._segmenter = segmenter
        self._cameras = cameras
        self._stats = stats
        self._settings = settings
        self._logger = logger
        self._on_device_lost = on_device_lost
        self._sizes: dict[str, tuple[int, int]] = {}
        self._warned: dict[tuple[str, str], float] = {}
        self._mailbox: Mailbox[Waiting] = Mailbox()
        self._thread = Thread(target=self._run, name="segmentation", daemon=True)
        self._thread.start()

    def receive(self, camera: Camera, message: Any) -> None:
        """Put a message into the mailbox and return at once. The executor's thread calls this."""
        if self._mailbox.put(camera.name, Waiting(message, monotonic())):
            camera.stats.count_drop(Drop.REPLACED)

    def stop(self) -> None:
        """Finish the current frames, drop the waiting ones, end the thread."""
        for name in self._mailbox.close():
            self._cameras[name].stats.count_drop(Drop.DEACTIVATED)
        self._thread.join()

    def _run(self) -> None:
        # Frames of one working size share a forward pass. A camera's last frame tells its size.
        while waiting := self._mailbox.take(lambda name: self._sizes.get(name, name)):
            try:
                self._segment(waiting)
            except DeviceLost as error:
                self._drop(waiting, Drop.DEVICE_LOST, str(error))
                self._on_device_lost(str(error))
                return
            except Exception:
                if not rclpy.ok():  # ROS was shut down: publishing is not possible
                    return
                self._drop(waiting, Drop.FAILED, traceback.format_exc())

    @contextmanager
    def _own_errors(self, waiting: dict[str, Waiting], name: str) -> Iterator[None]:
        """An error while one camera's frame is decoded or published drops this frame alone."""
        try:
            yield
        except ImageError as error:
            self._drop({name: waiting.pop(name)}, Drop.MALFORMED, str(error))
        except Exception:
            if not rclpy.ok():
                raise
            self._drop({name: waiting.pop(name)}, Drop.FAILED, traceback.format_exc())

    def _segment(self, waiting: dict[str, Waiting]) -> None:
        """Segment and publish. A frame is removed from ``waiting`` and counted once it is published or dropped."""
        frames: dict[str, NDArray[np.uint8]] = {}
        for name in list(waiting):
            start = monotonic()
            with self._own_errors(waiting, name):
                frames[name] = self._cameras[name].decode(waiting[name].message)
                waiting[name].decode = monotonic() - start
        self._segment_together(waiting, frames)

    def _segment_together(self, waiting: dict[str, Waiting], frames: dict[str, NDArray[np.uint8]]) -> None:
        try:
            results = self._segmenter(list(frames.values()))
        except OutOfMemory as error:
            if len(frames) > 1:  # each frame alone may fit
                for name, frame in frames.items():
                    self._segment_together(waiting, {name: frame})
            else:
                self._drop({name: waiting.pop(name) for name in frames}, Drop.OUT_OF_MEMORY, str(error))
            return
        for (name, frame), seen in zip(frames.items(), results, strict=True):
            self._sizes[name] = working_size(frame.shape[0], frame.shape[1], self._segmenter.max_pixels)
            self._stats.milliseconds.append(1000 * sum(seen.timings))
            if seen.fault:
                self._drop({name: waiting.pop(name)}, Drop.BROKEN_MODEL, seen.fault, seen)
                continue
            start = monotonic()
            with self._own_errors(waiting, name):
                self._cameras[name].publish(waiting[name].message.header, frame, seen, self._settings())
                self._publish_timing(name, waiting[name], seen, start)
                del waiting[name]

    def _publish_timing(self, camera: str, frame: Waiting, seen: Segmentation, published: float) -> None:
        """``published`` is the time when publishing began. Work on other cameras' frames counts as waiting."""
        took = {"decode": frame.decode, **seen.timings._asdict()}
        took["wait"] = published - frame.received - sum(took.values())
        took["publish"] = monotonic() - published
        self._cameras[camera].publish_timing(frame.message.header, took)

    def _drop(self, frames: dict[str, Waiting], reason: Drop, text: str, seen: Segmentation | None = None) -> None:
        """Count the frames as dropped, publish their health and log the reason. ``seen`` is the network's output, if
        there is one."""
        for name, frame in frames.items():
            self._cameras[name].stats.count_drop(reason)
            self._warn(name, reason, f"frame dropped, {reason}: {text}")
            try:
                self._cameras[name].publish_fault(frame.message.header, unsegmented(reason) if seen is None else seen)
            except Exception:
                self._warn(name, "health", f"health not published: {traceback.format_exc()}")

    def _warn(self, camera: str, kind: str, text: str) -> None:
        now = monotonic()
        if now - self._warned.get((camera, kind), -WARN_EVERY) >= WARN_EVERY:
            self._warned[camera, kind] = now
            self._logger.warning(f"{self._cameras[camera].topic}: {text}")

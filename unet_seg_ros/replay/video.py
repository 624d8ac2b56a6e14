"""The overlay as a video that browsers play."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from unet_seg_ros.replay.drive import Array

MAX_WIDTH = 1280
# Browsers play VP8 as they play VP9, and OpenCV takes a fifth of the time to encode it.
CODEC = cv2.VideoWriter.fourcc(*"VP80")


class OverlayVideo:
    """A .webm with one picture for each of ``stamps_ns``, ``rate`` of them a second, so that it plays as fast as the
    drive did: a frame without a picture shows the one before it."""

    def __init__(self, path: Path, rate: float, stamps_ns: list[int]) -> None:
        self._path = path
        self._rate = rate
        self._index = {stamp: index for index, stamp in enumerate(stamps_ns)}
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0
        self._last: Array | None = None

    def write(self, stamp_ns: int, rgb: Array) -> None:
        """Add the picture of one frame, H×W×3 uint8 RGB; stamps must rise. Raises OSError if no video can be made."""
        if stamp_ns not in self._index:
            return
        if self._writer is None:
            self._open(*rgb.shape[:2])
        self._fill(self._index[stamp_ns])
        if rgb.shape[1::-1] != self._size:
            rgb = np.asarray(cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        self._last = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
        self._fill(self._index[stamp_ns] + 1)

    def close(self) -> None:
        """Finish the file; there is none if no picture came."""
        self._fill(len(self._index))
        if self._writer is not None:
            self._writer.release()

    def _open(self, height: int, width: int) -> None:
        scale = min(1.0, MAX_WIDTH / width)
        self._size = max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)  # VP8 wants even
        with _quiet_stderr():
            self._writer = cv2.VideoWriter(str(self._path), CODEC, self._rate, self._size)
        if not self._writer.isOpened():
            raise OSError(f"{self._path}: this OpenCV can't write VP8 in WebM")

    def _fill(self, count: int) -> None:
        """Up to ``count`` pictures with the last one; those before the first picture are left out."""
        if self._last is None:
            self._written = max(self._written, count)
        elif self._writer is not None:
            for _ in range(self._written, count):
                self._writer.write(self._last)
            self._written = max(self._written, count)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """OpenCV prints there, past Python, that it does not know WebM's tag for the codec, and goes on."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

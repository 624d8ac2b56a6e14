"""The drive in short as a video that browsers play."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from unet_seg_ros.files import utf8_path
from unet_seg_ros.replay.report.gallery import Picture, pixels_of
from unet_seg_ros.replay.source.drive import Array

# Browsers play VP8 as they play VP9, and OpenCV takes a fifth of the time to encode it.
CODEC = cv2.VideoWriter.fourcc(*"VP80")
RATES = 5.0, 25.0
"""Pictures per second of a video, at least and at most: a long drive goes by faster than it was driven."""

LONGEST = 5.0
"""Seconds that a picture is shown at most: a clock that jumps would fill the disk."""


def write_video(path: Path, pictures: Sequence[Picture]) -> float:
    """A .webm of pictures in order of time, each shown until the next; returns how many times faster than it was driven
    the drive goes by. Raises OSError if no video can be made."""
    times = np.array([picture.at_ns for picture in pictures]) / 1e9
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rate = float(np.clip(1 / interval if interval > 0 else 0.0, *RATES))
    speed = max(1.0, rate * interval)
    first = pixels_of(pictures[0].jpeg)
    size = max(2, first.shape[1] // 2 * 2), max(2, first.shape[0] // 2 * 2)  # VP8 wants even
    with _quiet_stderr(), utf8_path(path) as name:
        writer = cv2.VideoWriter(name, CODEC, rate, size)
    if not writer.isOpened():
        raise OSError(f"{path}: this OpenCV can't write VP8 in WebM")
    starts = ((times - times[0]) * rate / speed).round().astype(int)
    for picture, count in zip(pictures, np.diff(starts, append=starts[-1] + 1), strict=True):
        bgr = _fitted(pixels_of(picture.jpeg), size)
        for _ in range(min(count, round(LONGEST * rate))):  # a frame that is missing shows the one before it
            writer.write(bgr)
    writer.release()
    if not path.exists() or path.stat().st_size == 0:  # OpenCV says nothing of a full disk
        raise OSError(f"{path}: the video could not be written")
    return speed


def _fitted(rgb: Array, size: tuple[int, int]) -> Array:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return np.asarray(
        bgr if rgb.shape[1::-1] == size else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8
    )


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

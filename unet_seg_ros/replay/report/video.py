"""Writes the short film of a camera as a video that browsers can play."""

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

# Browsers play VP8 and VP9 equally well, and OpenCV encodes VP8 in a fifth of the time.
CODEC = cv2.VideoWriter.fourcc(*"VP80")
RATES = 5.0, 25.0
"""Lowest and highest number of pictures per second. So the video of a long drive is faster than the drive."""

LONGEST = 5.0
"""A picture is shown for at most this many seconds, since stamps that jump far ahead could fill the disk."""


def write_video(path: Path, pictures: Sequence[Picture]) -> float:
    """Write pictures, in order of time, to a .webm file. Each picture is shown until the next one. Returns how many
    times faster than the drive the video is. Raises OSError if the video cannot be written."""
    times = np.array([picture.at_ns for picture in pictures]) / 1e9
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rate = float(np.clip(1 / interval if interval > 0 else 0.0, *RATES))
    speed = max(1.0, rate * interval)
    first = pixels_of(pictures[0].jpeg)
    size = max(2, first.shape[1] // 2 * 2), max(2, first.shape[0] // 2 * 2)  # VP8 needs even sides
    with _quiet_stderr(), utf8_path(path) as name:
        writer = cv2.VideoWriter(name, CODEC, rate, size)
    if not writer.isOpened():
        raise OSError(f"{path}: this OpenCV can't write VP8 in WebM")
    starts = ((times - times[0]) * rate / speed).round().astype(int)
    for picture, count in zip(pictures, np.diff(starts, append=starts[-1] + 1), strict=True):
        bgr = _fitted(pixels_of(picture.jpeg), size)
        for _ in range(min(count, round(LONGEST * rate))):  # repeat it in place of missing frames
            writer.write(bgr)
    writer.release()
    if not path.exists() or path.stat().st_size == 0:  # OpenCV does not report a full disk
        raise OSError(f"{path}: the video could not be written")
    return speed


def _fitted(rgb: Array, size: tuple[int, int]) -> Array:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return np.asarray(
        bgr if rgb.shape[1::-1] == size else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8
    )


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Discard what is written to stderr. OpenCV prints there that it does not know WebM's tag for the codec, although
    the video is correct."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

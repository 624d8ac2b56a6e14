"""Checks the stamps of a drive's cameras: whether they increase, and where frames are missing."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.replay.schema import SourceCheck

GAP = 1.5
"""An interval that is longer than this many median intervals is a gap."""


class Stamps:
    """Collects the stamps of all cameras, in order. It keeps 8 bytes per frame."""

    def __init__(self) -> None:
        self._stamps: dict[str, array[int]] = {}

    def take(self, camera: str, stamp_ns: int) -> None:
        """Add a frame."""
        self._stamps.setdefault(camera, array("q")).append(stamp_ns)

    def checks(self, topics: Mapping[str, str]) -> dict[str, SourceCheck]:
        """The results by camera, also for cameras without frames; ``topics`` are the topics by camera."""
        return {
            camera: check(topic, np.array(self._stamps.get(camera, []), np.int64)) for camera, topic in topics.items()
        }


def check(topic: str, stamps_ns: NDArray[np.int64]) -> SourceCheck:
    """Check one camera's stamps, int64[frames] in nanoseconds, in order of recording."""
    steps = np.diff(stamps_ns)
    ordered = np.diff(np.unique(stamps_ns)).astype(np.float64) / 1e9
    median = float(np.median(ordered)) if ordered.size else 0.0
    gaps = ordered[np.greater(ordered, GAP * median)]
    return {
        "topic": topic,
        "frames": len(stamps_ns),
        "seconds": float(ordered.sum()),
        "rate": 1 / median if median else None,
        "monotonic": bool((steps > 0).all()),
        "backward": int((steps < 0).sum()),
        "repeated": len(stamps_ns) - (len(ordered) + 1 if len(stamps_ns) else 0),
        "gaps": len(gaps),
        "longest_gap": float(gaps.max()) if len(gaps) else None,
    }

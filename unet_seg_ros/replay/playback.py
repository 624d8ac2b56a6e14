"""What is kept of a drive that was played: a few numbers a frame. Everything big is in the bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unet_seg_ros.replay.drive import IMAGE
from unet_seg_ros.ros.bringup import NODE_NAME

CLASS_COVERAGE = "unet_seg_msgs/msg/ClassCoverage"
OUTPUTS = {"mask": IMAGE, "overlay": IMAGE, "coverage": CLASS_COVERAGE}
"""What is taken from the node, for each camera, and its message type."""


def output_topic(camera: str, output: str) -> str:
    """Where the node publishes it."""
    return f"/{NODE_NAME}/{camera}/{output}"


@dataclass
class Sent:
    """A frame that was sent. ``at_ns`` is when it was due, since the drive began; ``sent_ns`` and ``received_ns`` (of
    its mask, None if none came) are times of one monotonic clock."""

    camera: str
    stamp_ns: int
    at_ns: int
    sent_ns: int
    label: Path | None
    received_ns: int | None = None


class Playback(NamedTuple):
    """``frames`` in order of sending; ``cameras`` and ``engine`` are the node's last diagnostics, by camera."""

    frames: list[Sent]
    cameras: dict[str, dict[str, str]]
    engine: dict[str, str]


def frame_rate(frames: list[Sent]) -> float:
    """Frames per second of one camera's drive, by the median interval; 10 for a single frame."""
    intervals = np.diff([sent.at_ns for sent in frames])
    median = float(np.median(intervals)) if intervals.size else 0.0
    return 1e9 / median if median > 0 else 10.0

"""The latency of each frame of a live drive, its stages, and the rates. ``Connection`` takes the times at which a frame
is sent and its mask arrives."""

from __future__ import annotations

import numpy as np

from unet_seg_ros.replay.live.played_drive import PlayedDrive, Sent
from unet_seg_ros.vocabulary import STAGES


def latency(sent: Sent) -> float | None:
    """Seconds from sending the frame to receiving its mask; None if no mask came, or if its stamp was sent more than
    once."""
    return None if sent.received_ns is None or sent.repeated else (sent.received_ns - sent.sent_ns) / 1e9


def stages(sent: Sent) -> dict[str, float | None]:
    """Seconds of each stage in ``STAGES``; None if not known."""
    seconds_of = dict(sent.stages or {})
    whole = latency(sent)
    if sent.stages and whole is not None:
        seconds_of["transport"] = whole - sum(seconds for name, seconds in seconds_of.items() if name != "publish")
    return {name: seconds_of.get(name) for name in STAGES}


def achieved(played: PlayedDrive) -> dict[str, float | None]:
    """Frames and masks per second of all cameras together. ``jitter`` is the standard deviation in seconds of the
    intervals between the masks of a camera."""
    sent = [one.sent_ns for one in played.frames]
    received = sorted(one.received_ns for one in played.frames if one.received_ns is not None)
    intervals = [
        np.diff(
            sorted(one.received_ns for one in played.frames if one.camera == camera and one.received_ns is not None)
        )
        for camera in played.target.cameras
    ]
    # relative to each camera's own mean, so that two steady cameras of different rates have no jitter
    off = np.concatenate([each - each.mean() for each in intervals if each.size > 1] or [np.zeros(0)]) / 1e9
    jitter = float(np.sqrt(np.mean(off**2))) if off.size else None
    return {"sent": _rate(sent), "rate": _rate(received), "jitter": jitter}


def _rate(times_ns: list[int]) -> float | None:
    span = max(times_ns) - min(times_ns) if times_ns else 0
    return (len(times_ns) - 1) * 1e9 / span if span else None

"""The timing of a live drive: how many masks arrived and when, and why the other frames have none."""

from __future__ import annotations

from collections import Counter

import numpy as np

from unet_seg_ros.replay.live.playback import Counts, Playback, Sent
from unet_seg_ros.replay.schema import Frames
from unet_seg_ros.vocabulary import STAGES, Drop


def counted(played: Playback) -> Frames:
    """Numbers of frames: ``sent``, ``received`` by the node (None if it does not report it), ``processed`` (the mask
    arrived), and ``dropped`` by reason, whose sum is ``sent - processed``."""
    dropped: Counter[str] = Counter()
    for camera in played.target.cameras:
        mine = [sent for sent in played.frames if sent.camera == camera]
        dropped.update(reasons(len(mine), sum(map(answered, mine)), played.counts.get(camera)))
    told = len(played.counts) == len(played.target.cameras)
    return {
        "sent": len(played.frames),
        "received": sum(counts.received for counts in played.counts.values()) if told else None,
        "processed": sum(map(answered, played.frames)),
        "dropped": dict(dropped),
    }


def answered(sent: Sent) -> bool:
    """Whether the frame's mask arrived."""
    return sent.received_ns is not None


def reasons(sent: int, masks: int, counts: Counts | None) -> dict[str, int]:
    """Numbers of dropped frames by reason; their sum is ``sent - masks``."""
    if counts is None:
        why = {Drop.UNKNOWN.value: sent - masks}
    else:
        why = dict(counts.dropped)
        why[Drop.UNFINISHED.value] = counts.received - counts.processed - sum(why.values())
        why[Drop.LOST_BEFORE_NODE.value] = sent - counts.received
        why[Drop.LOST_AFTER_NODE.value] = counts.processed - masks
    return {reason: count for reason, count in why.items() if count}


def stages(sent: Sent) -> dict[str, float | None]:
    """Seconds of each stage in ``STAGES``; None if not known."""
    told = dict(sent.stages or {})
    if sent.stages and sent.latency is not None:
        told["transport"] = sent.latency - sum(seconds for name, seconds in told.items() if name != "publish")
    return {name: told.get(name) for name in STAGES}


def achieved(played: Playback) -> dict[str, float | None]:
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

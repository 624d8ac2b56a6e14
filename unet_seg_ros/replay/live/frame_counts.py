"""Numbers of frames of a live drive: how many masks arrived, and why the other frames have none."""

from __future__ import annotations

from collections import Counter

from unet_seg_ros.replay.live.played_drive import Counts, PlayedDrive, Sent
from unet_seg_ros.replay.schema import Frames
from unet_seg_ros.vocabulary import Drop


def counted(played: PlayedDrive) -> Frames:
    """Numbers of frames: ``sent``, ``received`` by the node (None if it does not report it), ``processed`` (the mask
    arrived), and ``dropped`` by reason, whose sum is ``sent - processed``."""
    dropped: Counter[str] = Counter()
    for camera in played.target.cameras:
        mine = [sent for sent in played.frames if sent.camera == camera]
        dropped.update(reasons(len(mine), sum(map(answered, mine)), played.counts.get(camera)))
    all_reported = len(played.counts) == len(played.target.cameras)
    return {
        "sent": len(played.frames),
        "received": sum(counts.received for counts in played.counts.values()) if all_reported else None,
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

"""Names that the node, the replay and the benchmarks share, each said once: stages of a frame, reasons why a frame was
dropped, and what the node calls things on /diagnostics. Imports no ROS."""

from __future__ import annotations

from enum import Enum

WORK_STAGES = ("decode", "preprocess", "forward", "postprocess")
"""Work on one frame, with or without ROS: fields of ``unet_seg_msgs/FrameTiming``."""
NODE_STAGES = ("wait", *WORK_STAGES, "publish")
"""All that a frame goes through in the node, every field of ``FrameTiming``. ``wait`` is the time in the node in which
something else was worked on."""
STAGES = ("transport", *NODE_STAGES)
"""All that a frame goes through in a live replay, in order. ``transport`` is the way to the node and back. All stages
but ``publish``, which ends after the mask was sent, add up to the latency."""


class Drop(str, Enum):
    """Why a frame has no mask."""

    REPLACED = "replaced by a newer one"
    MALFORMED = "malformed"
    OUT_OF_MEMORY = "out of memory"
    DEVICE_LOST = "device lost"
    FAILED = "failed"
    BROKEN_MODEL = "broken model"
    DEACTIVATED = "deactivated"
    SKIPPED = "over max_rate"
    # What only a replay can know, because it counts what it sent and what came back:
    LOST_BEFORE_NODE = "replaced or lost before the node took it"
    LOST_AFTER_NODE = "segmented, but the mask was lost on the way back"
    UNFINISHED = "not finished when the drive ended"
    UNKNOWN = "dropped, the node does not say why"

    def __str__(self) -> str:  # Python 3.10 to 3.13 differ in what they print by themselves
        return self.value


TOPIC, RECEIVED, PROCESSED, MODEL = "topic", "received", "processed", "model"
"""Keys of the node's diagnostics that the replay reads: the first three of a camera, the last of the engine."""
DROPPED = "dropped: "
"""What the key of a reason's count begins with."""
CAMERA_TASK, ENGINE_TASK = "camera ", "engine"
"""What a status is called after the node's name and ": "; a camera's name follows the first."""

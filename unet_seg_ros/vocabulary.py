"""Names that the node, the replay and the benchmarks share: the stages of a frame, the reasons why a frame was dropped,
and the keys of the node's diagnostics. Imports no ROS."""

from __future__ import annotations

from enum import Enum

WORK_STAGES = ("decode", "preprocess", "forward", "postprocess")
"""The work on one frame, with or without ROS. They are fields of ``unet_seg_msgs/FrameTiming``."""
NODE_STAGES = ("wait", *WORK_STAGES, "publish")
"""The stages of a frame in the node: every field of ``FrameTiming``. ``wait`` is the time in which the frame was in the
node and the node worked on something else."""
STAGES = ("transport", *NODE_STAGES)
"""The stages of a frame in a live replay, in order. ``transport`` is the time from the player to the node and back. The
latency is the sum of all stages except ``publish``, which ends after the mask was sent."""


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
    # Only a replay can know these, because it counts the frames that it sent and the masks that came back:
    LOST_BEFORE_NODE = "replaced or lost before the node took it"
    LOST_AFTER_NODE = "segmented, but the mask was lost on the way back"
    UNFINISHED = "not finished when the drive ended"
    UNKNOWN = "dropped, the node does not say why"

    def __str__(self) -> str:  # Python 3.10 to 3.13 differ in what they print by themselves
        return self.value


TOPIC, RECEIVED, PROCESSED, MODEL = "topic", "received", "processed", "model"
"""Keys of the node's diagnostics that the replay reads: three of a camera's status, then one of the engine's."""
DROPPED = "dropped: "
"""Start of a key that counts dropped frames; a reason follows."""
CAMERA_TASK, ENGINE_TASK = "camera ", "engine"
"""Names of statuses, after the node's name and ": ". The camera's name follows the first."""

"""The topics of a replay, live and offline: the images and the outputs of the node."""

from __future__ import annotations

from dataclasses import dataclass

from unet_seg_ros.ros.bringup import NODE_NAME

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CLASS_COVERAGE = "unet_seg_msgs/msg/ClassCoverage"
FRAME_TIMING = "unet_seg_msgs/msg/FrameTiming"
CAMERA_HEALTH = "unet_seg_msgs/msg/CameraHealth"
FRAME_OUTPUTS = {"mask": IMAGE, "confidence": IMAGE, "coverage": CLASS_COVERAGE}
"""The node's outputs for every frame of a camera, with their message types. The replay makes the overlay afterwards,
because a node in a car makes none and would be slower with it."""
RECORDED = {**FRAME_OUTPUTS, "timing": FRAME_TIMING, "health": CAMERA_HEALTH}
"""The node's outputs that a live replay records."""


@dataclass(frozen=True)
class Target:
    """The node that segments the drive: its full ``name`` and, for each camera of the drive, the node's name for it."""

    name: str
    cameras: dict[str, str]

    @classmethod
    def own(cls, cameras: dict[str, str]) -> Target:
        """The node that the replay starts itself."""
        return cls(f"/{NODE_NAME}", {camera: camera for camera in cameras})

    def topic(self, camera: str, output: str) -> str:
        """The topic on which the node publishes an output of a camera."""
        return f"{self.name}/{self.cameras[camera]}/{output}"

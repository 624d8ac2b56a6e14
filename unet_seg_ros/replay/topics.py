"""The topics of a replay: what goes to the node and what the node makes of it, live and offline."""

from __future__ import annotations

from dataclasses import dataclass

from unet_seg_ros.ros.bringup import NODE_NAME

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CLASS_COVERAGE = "unet_seg_msgs/msg/ClassCoverage"
FRAME_TIMING = "unet_seg_msgs/msg/FrameTiming"
CAMERA_HEALTH = "unet_seg_msgs/msg/CameraHealth"
OUTPUTS = {"mask": IMAGE, "confidence": IMAGE, "coverage": CLASS_COVERAGE}
"""What the node makes of every frame, for each camera, and its message type. The overlay is made afterwards: a car's
node makes none, and would be slower if it did."""
RECORDED = {**OUTPUTS, "timing": FRAME_TIMING, "health": CAMERA_HEALTH}
"""What is taken from the node and recorded."""


@dataclass(frozen=True)
class Target:
    """The node that is played to: its full ``name`` and, for each camera of the drive, the node's name for it."""

    name: str
    cameras: dict[str, str]

    @classmethod
    def own(cls, cameras: dict[str, str]) -> Target:
        """The node that the replay starts itself."""
        return cls(f"/{NODE_NAME}", {camera: camera for camera in cameras})

    def topic(self, camera: str, output: str) -> str:
        """Where the node publishes it."""
        return f"{self.name}/{self.cameras[camera]}/{output}"

"""Publishes ``~/ground`` and ``~/C/ground``: grids that are projected from the masks of cameras with a calibration."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose as PoseMessage
from nav_msgs.msg import MapMetaData, OccupancyGrid
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from unet_seg_ros.ground.camera import CalibrationError
from unet_seg_ros.ground.camera_info import read_camera_info
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.grid import Grid
from unet_seg_ros.ground.mapper import Mapper
from unet_seg_ros.ground.motion import Place
from unet_seg_ros.ground.pose import Pose
from unet_seg_ros.ground.projection import Calibration
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.ros.diagnostic_levels import OK, WARN
from unet_seg_ros.ros.diagnostics import Report
from unet_seg_ros.ros.outputs import SegmentedFrame
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.ros.transforms import Transforms
from unet_seg_ros.text import quoted


class GroundPublisher:
    """Takes segmented frames and publishes grids while somebody subscribes, until ``destroy`` is called.

    ``camera_info`` returns the last CameraInfo of a camera, by the camera's name. Raises ValueError, which names the
    file, if the costs cannot be read.
    """

    def __init__(
        self, node: Node, settings: Settings, manifest: Manifest, camera_info: Callable[[str], CameraInfo | None]
    ) -> None:
        self._node = node
        self._settings = settings.ground
        costs = load_costs(self._settings.costs, manifest.class_names, manifest.class_ids)
        self._mapper = Mapper(self._settings.grid, costs, self._settings.memory)
        self._transforms = Transforms(node)
        self._problems: dict[str, str] = {}
        self._camera_info = camera_info
        qos = QoSProfile(depth=settings.output_depth, reliability=ReliabilityPolicy.RELIABLE)
        self._all = node.create_publisher(OccupancyGrid, "~/ground", qos)
        self._own = {name: node.create_publisher(OccupancyGrid, f"~/{name}/ground", qos) for name in settings.cameras}

    def destroy(self) -> None:
        for publisher in (self._all, *self._own.values()):
            self._node.destroy_publisher(publisher)
        self._transforms.destroy()

    def take(self, frame: SegmentedFrame) -> None:
        """Project a frame to the ground and publish the grids. The worker's thread calls this."""
        fused, own = self._all.get_subscription_count(), self._own[frame.camera].get_subscription_count()
        if not fused and not own:
            return
        try:
            calibration = self._calibration(frame)
            seen, threshold = frame.seen, frame.settings.confidence_threshold
            layer = self._mapper.layer(frame.camera, calibration, seen.mask, seen.confidence, threshold)
        except CalibrationError as error:
            self._problems[frame.camera] = str(error)
            return
        self._problems.pop(frame.camera, None)
        if own:
            self._own[frame.camera].publish(self._message(frame.header, layer.cost))
        stamp = frame.header.stamp.sec + frame.header.stamp.nanosec / 1e9
        cost = self._mapper.add(frame.camera, layer, stamp, self._place(frame.header))
        if fused:
            self._all.publish(self._message(frame.header, cost))

    def _calibration(self, frame: SegmentedFrame) -> Calibration:
        """The calibration from the parameters or, where they are not set, from camera_info and TF. Raises
        CalibrationError."""
        given, frame_id, turn = self._settings.cameras[frame.camera], frame.header.frame_id, np.eye(3)
        camera, pose = given.camera, given.pose
        if camera is None:
            info = self._camera_info(frame.camera)
            if info is None:
                raise CalibrationError(
                    f"no camera_info has been received, and ground.{frame.camera}.intrinsics is not set"
                )
            if info.header.frame_id != frame_id:
                raise CalibrationError(
                    f"camera_info has frame_id {quoted(info.header.frame_id)}, but the images have {quoted(frame_id)}"
                )
            camera, turn = read_camera_info(info, given.rectified)
        if pose is None:
            found = self._transforms.find(self._settings.frame, frame_id)
            if found is None:
                missing = f"TF has no transform from {quoted(frame_id)} to {quoted(self._settings.frame)}"
                if not frame_id:
                    missing = "the images have no frame_id, which TF needs"
                reason = missing if self._transforms.available else "tf2_ros is not installed"
                raise CalibrationError(
                    f"{reason}, and the pose ground.{frame.camera}.z, x, y, roll, pitch, yaw is not set"
                )
            pose = Pose(*found)
        return Calibration(camera, pose.turned(turn))

    def _place(self, header: Header) -> Place | None:
        """The position of the car at a stamp; None if TF has no odometry, or one that is not finite."""
        found = self._transforms.find(self._settings.odometry_frame, self._settings.frame, header.stamp)
        if found is None or not all(map(math.isfinite, (found.x, found.y, *found.quaternion))):
            return None
        x, y, z, w = found.quaternion
        return Place(found.x, found.y, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))

    def _message(self, header: Header, cost: NDArray[np.uint8]) -> OccupancyGrid:
        message = OccupancyGrid(
            header=Header(stamp=header.stamp, frame_id=self._settings.frame),
            info=grid_info(self._settings.grid, header.stamp),
        )
        message.data = array("b", cost.tobytes())
        return message

    def report(self) -> Report:
        """The diagnostics: a warning for each camera without a usable calibration, if somebody subscribes to a grid."""
        problems = dict(self._problems)  # the worker's thread may change it
        wanted = any(publisher.get_subscription_count() for publisher in (self._all, *self._own.values()))
        values: dict[str, Any] = {name: problems.get(name, "ok") for name in self._own} if wanted else {}
        if wanted and problems:
            text = "; ".join(f"{name}: no grid: {reason}" for name, reason in sorted(problems.items()))
            return Report("ground", WARN, text, values)
        return Report("ground", OK, "publishing grids" if wanted else "nobody subscribes", values)


def grid_info(grid: Grid, stamp: Any) -> MapMetaData:
    """The grid's size, resolution and position."""
    origin = PoseMessage()
    origin.position.x, origin.position.y = grid.x_min, grid.y_min
    return MapMetaData(
        map_load_time=stamp, resolution=grid.resolution, width=grid.columns, height=grid.rows, origin=origin
    )

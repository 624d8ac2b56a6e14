"""Makes the grids of a drive from its masks, as the node does, and records and draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unet_seg_ros.ground.camera import CalibrationError
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.mapper import Mapper
from unet_seg_ros.ground.picture import draw_grid
from unet_seg_ros.ground.projection import Calibration
from unet_seg_ros.ground.settings import GroundSettings
from unet_seg_ros.replay.errors import Problems
from unet_seg_ros.replay.record.recorder import Recorder, typestore
from unet_seg_ros.replay.source.drive import Array
from unet_seg_ros.ros.bringup import NODE_NAME

GRID = "nav_msgs/msg/OccupancyGrid"
THRESHOLD = 0.5
"""The node's default of ``confidence_threshold``."""


class Grids:
    """Makes grids from the masks of a drive's cameras; ``class_names`` are the masks' classes, ``class_ids`` their
    values.

    A camera without a usable calibration is added to ``problems``. Raises ValueError if the costs cannot be read.
    """

    def __init__(
        self, settings: GroundSettings, class_names: Sequence[str], class_ids: Sequence[int], problems: Problems
    ) -> None:
        self._settings, self._problems = settings, problems
        self._mapper = Mapper(settings.grid, load_costs(settings.costs, class_names, class_ids))
        self._types = typestore()
        self._newest = np.full(settings.grid.shape, UNKNOWN, np.uint8)

    def take(self, camera: str, stamp_ns: int, mask: Array, confidence: Array, recorder: Recorder | None) -> None:
        """Project a frame's mask to the ground; write both grid topics to ``recorder``."""
        given = self._settings.cameras[camera]
        if given.camera is None or given.pose is None:
            self._problems.add(
                f"ground {camera}", f"{camera}: no grid: the calibration file does not describe this camera completely"
            )
            return
        try:
            calibration = Calibration(given.camera, given.pose)
            layer = self._mapper.layer(camera, calibration, mask, confidence, THRESHOLD)
        except CalibrationError as error:
            self._problems.add(f"ground {camera}", f"{camera}: no grid: {error}")
            return
        self._newest = self._mapper.add(camera, layer, stamp_ns / 1e9)
        if recorder:
            for topic, cost in ((f"/{NODE_NAME}/{camera}/ground", layer.cost), (f"/{NODE_NAME}/ground", self._newest)):
                self._record(recorder, topic, stamp_ns, cost)

    def picture(self, height: int) -> Array:
        """The newest grid of all cameras, H×W×3 uint8 RGB, ``height`` pixels high."""
        return draw_grid(self._newest, self._settings.grid, height)

    def _record(self, recorder: Recorder, topic: str, stamp_ns: int, cost: Array) -> None:
        kinds, grid = self._types.types, self._settings.grid
        stamp = kinds["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
        message = kinds[GRID](
            kinds["std_msgs/msg/Header"](stamp, self._settings.frame),
            kinds["nav_msgs/msg/MapMetaData"](
                stamp,
                grid.resolution,
                grid.columns,
                grid.rows,
                kinds["geometry_msgs/msg/Pose"](
                    kinds["geometry_msgs/msg/Point"](grid.x_min, grid.y_min, 0.0),
                    kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
                ),
            ),
            cost.view(np.int8).ravel(),
        )
        recorder.write(topic, GRID, stamp_ns, bytes(self._types.serialize_cdr(message, GRID)))

"""Makes the grid around the car from the masks of all its calibrated cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.ground.costs import Costs
from unet_seg_ros.ground.fusion import fuse
from unet_seg_ros.ground.grid import UNKNOWN, Grid
from unet_seg_ros.ground.layer import Layer, project
from unet_seg_ros.ground.motion import Memory, Place, moved
from unet_seg_ros.ground.projection import Calibration, View

TOGETHER = 0.2
"""Frames of several cameras are merged into one grid if their stamps differ by at most this many seconds."""


class Seen(NamedTuple):
    """The last layer of a camera, its ``stamp`` in seconds and the car's ``place`` at that time (None: not known)."""

    layer: Layer
    stamp: float
    place: Place | None


@dataclass
class Mapper:
    """Keeps the calibrated cameras and one grid. Cells that are not seen any more are kept for ``memory`` seconds, if
    the car's places are known."""

    grid: Grid
    costs: Costs
    memory: float = 0.0

    def __post_init__(self) -> None:
        self._views: dict[str, tuple[Calibration, View]] = {}
        self._newest: dict[str, Seen] = {}
        self._memory = Memory(self.grid, self.memory) if self.memory > 0 else None

    def layer(
        self,
        camera: str,
        calibration: Calibration,
        mask: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        threshold: float,
    ) -> Layer:
        """The layer of one frame, see ``project``. The lookup is kept until the calibration or the size changes.

        Raises CalibrationError if the calibration does not fit the frame, or if the camera sees nothing of the grid.
        """
        kept = self._views.get(camera)
        if kept is None or kept[0] != calibration or kept[1].size != mask.shape:
            height, width = mask.shape
            kept = calibration, View(calibration, self.grid, (height, width))
            self._views[camera] = kept
        return project(kept[1], self.costs, mask, confidence, threshold)

    def add(self, camera: str, layer: Layer, stamp: float, place: Place | None = None) -> NDArray[np.uint8]:
        """Add a camera's newest layer. Returns the grid, uint8[rows, columns], 0..100 or 255 (unknown).

        ``stamp`` is in seconds; ``place`` is the place of the car at that time. The layers of other cameras are merged
        if they are at most ``TOGETHER`` seconds older or newer; they are moved with the car if both places are known.
        """
        self._newest[camera] = Seen(layer, stamp, place)
        near = [seen for seen in self._newest.values() if abs(seen.stamp - stamp) <= TOGETHER]
        cost = fuse([self._from(seen, place) for seen in near])
        if self._memory is None or place is None:
            return cost
        return self._memory.update(cost, place, stamp)

    def _from(self, seen: Seen, place: Place | None) -> Layer:
        """The layer moved to a car at ``place``."""
        if place is None or seen.place is None or seen.place == place:
            return seen.layer
        cost = moved(seen.layer.cost, self.grid, seen.place, self.grid, place, UNKNOWN)
        return Layer(cost, moved(seen.layer.weight, self.grid, seen.place, self.grid, place, 0))

"""The sums over the frames of a drive, from which all figures about its masks are computed. Only whole numbers are
summed, so the sums of two drives, added, equal exactly those of both drives replayed as one."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.metrics.boundary import BoundaryIoU
from unet_seg_ros.metrics.calibration import Calibration
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.metrics.streaming import Moment, Streaming

Array = NDArray[np.uint8]


@dataclass
class Share:
    """A share: ``part`` of ``whole``, both sums over frames."""

    part: int = 0
    whole: int = 0

    def add(self, part: int, whole: int) -> float:
        """Add to both sums. Returns the share of only what was added."""
        self.part += part
        self.whole += whole
        return part / whole

    @property
    def value(self) -> float | None:
        """The share, 0..1; None if ``whole`` is 0."""
        return self.part / self.whole if self.whole else None


class Score:
    """Takes the frames of all cameras in the order of time. It keeps the last mask of each camera, to measure flicker.

    Masks and labels are compared in ``grouping``, also within ``regions``; ``against`` are the masks of a second model,
    which are compared as labels are.
    """

    def __init__(self, grouping: Grouping, regions: Sequence[Region] = ()) -> None:
        self.grouping = grouping
        self.labelled = 0
        self.confusion = ConfusionMatrix(grouping)
        self.boundary = BoundaryIoU(grouping)
        self.calibration = Calibration(grouping)
        self.regions = {region.name: ConfusionMatrix(grouping) for region in regions}
        self.against = ConfusionMatrix(grouping)
        self.streaming = Streaming(grouping)
        self.flicker, self.confidence, self.agreement = Share(), Share(), Share()
        self._where = tuple(regions)
        self._last: dict[str, Array] = {}

    def take(
        self,
        camera: str,
        mask: Array,
        confidence: Array,
        label: Array | None = None,
        other: Array | None = None,
        moment: Moment | None = None,
    ) -> dict[str, Any]:
        """Add a frame, all H×W uint8: train ids of ``mask``, ``label`` and ``other``, and confidence; with its
        ``moment`` also to the streaming accuracy.

        Returns the frame's own figures by name, NaN where there is nothing to compare with: ``miou``,
        ``pixel_accuracy``, ``flicker``, ``mean_confidence``, ``agreement``; ``labelled``, ``intersection.CLASS`` and
        ``union.CLASS`` in pixels, from which figures over any set of frames can be computed; and ``mask_crc32``, which
        tells whether two replays made the same mask.
        """
        row: dict[str, Any] = {"mask_crc32": zlib.crc32(mask.tobytes())}
        row["mean_confidence"] = self.confidence.add(int(confidence.sum(dtype=np.int64)), 255 * mask.size)
        last = self._last.get(camera)
        comparable = last is not None and last.shape == mask.shape
        row["flicker"] = self.flicker.add(int(np.count_nonzero(last != mask)), mask.size) if comparable else math.nan
        self._last[camera] = mask
        row |= {"agreement": math.nan, "miou": math.nan, "pixel_accuracy": math.nan}
        if other is not None:
            row["agreement"] = self.agreement.add(int(np.count_nonzero(other == mask)), mask.size)
            self.against.update(other, mask)
        if moment:
            self.streaming.take(camera, moment, mask, label)
        if label is not None:
            row |= self._compare(camera, mask, confidence, label)
        return row

    def _compare(self, camera: str, mask: Array, confidence: Array, label: Array) -> dict[str, Any]:
        frame = ConfusionMatrix(self.grouping)
        frame.update(label, mask)
        self.confusion += frame
        self.boundary.update(label, mask)
        self.calibration.update(label, mask, confidence)
        for region in self._where:
            if not region.cameras or camera in region.cameras:
                inside = region.pixels(*mask.shape)
                self.regions[region.name].update(label[inside], mask[inside])
        self.labelled += 1
        intersection, union = frame.overlaps()
        row: dict[str, Any] = {"miou": frame.mean_iou(), "pixel_accuracy": frame.pixel_accuracy()}
        row["labelled"] = int(frame.matrix.sum())
        row |= {f"intersection.{name}": int(n) for name, n in zip(self.grouping.names, intersection, strict=True)}
        row |= {f"union.{name}": int(n) for name, n in zip(self.grouping.names, union, strict=True)}
        return row

    def __iadd__(self, other: Score) -> Score:
        """Add the sums of another drive, which must have the same grouping and regions."""
        self.labelled += other.labelled
        self.confusion += other.confusion
        self.boundary += other.boundary
        self.calibration += other.calibration
        self.against += other.against
        self.streaming += other.streaming
        for name, matrix in other.regions.items():
            self.regions[name] += matrix
        for mine, theirs in (
            (self.flicker, other.flicker),
            (self.confidence, other.confidence),
            (self.agreement, other.agreement),
        ):
            mine.part += theirs.part
            mine.whole += theirs.whole
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to another process: only the sums."""
        return {**self.__dict__, "_last": {}}

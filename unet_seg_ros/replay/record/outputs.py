"""Makes the messages that the node would publish for a frame, so that offline the same topics are recorded without
DDS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unet_seg_ros import draw
from unet_seg_ros.health.trust import Health
from unet_seg_ros.metrics.coverage import Coverage, Region
from unet_seg_ros.replay.record.recorder import Recorder, typestore
from unet_seg_ros.replay.source.drive import Array, Drive, DriveFrame, picture
from unet_seg_ros.replay.topics import CAMERA_HEALTH, CLASS_COVERAGE, IMAGE, Target
from unet_seg_ros.segmenter import Segmentation


class OutputRecorder:
    """Records the frames of ``drive`` and their outputs, on the same topics as a live replay.

    ``palette`` is uint8[256, 3] RGB. ``age`` and ``dropped`` are 0, because no frame waits offline.
    """

    def __init__(self, recorder: Recorder, drive: Drive, model_id: str, palette: Array) -> None:
        self._recorder = recorder
        self._drive = drive
        self._model_id = model_id
        self._palette = palette
        self._types = typestore()
        self._target = Target.own(drive.cameras)

    def write_input(self, frame: DriveFrame) -> None:
        """Add a frame that has no outputs."""
        self._write(frame, self._drive.topic(frame.camera), self._drive.message_type, frame.message)

    def write_health(self, frame: DriveFrame, health: Health) -> None:
        """Add the health of a frame."""
        message = self._types.types[CAMERA_HEALTH](
            frame.message.header,
            self._model_id,
            int(health.level),
            health.trust,
            list(health.flags),
            health.reason,
            list(health.signals),
            np.array(list(health.signals.values()), np.float32),
            np.array([health.bounds[name] for name in health.signals], np.float32),
        )
        self._write(frame, self._target.topic(frame.camera, "health"), CAMERA_HEALTH, message)

    def write(
        self, frame: DriveFrame, image: Array, seen: Segmentation, health: Health, regions: Sequence[Region] = ()
    ) -> Coverage:
        """Add a frame with all outputs; ``image`` is its decoded image uint8[H, W, 3] RGB. Returns its coverage, of the
        whole image and of ``regions``."""
        header, camera = frame.message.header, frame.camera
        self.write_input(frame)
        self.write_health(frame, health)
        coverage = seen.coverage(regions)
        messages = {
            "mask": (IMAGE, picture(header, seen.mask, "mono8")),
            "confidence": (IMAGE, picture(header, seen.confidence, "mono8")),
            "overlay": (IMAGE, picture(header, draw.overlay(image, seen.mask, self._palette), "rgb8")),
            "coverage": (CLASS_COVERAGE, self._coverage(header, seen, coverage, health.trust)),
        }
        for output, (kind, message) in messages.items():
            self._write(frame, self._target.topic(camera, output), kind, message)
        return coverage

    def _write(self, frame: DriveFrame, topic: str, kind: str, message: Any) -> None:
        self._recorder.write(topic, kind, frame.stamp_ns, bytes(self._types.serialize_cdr(message, kind)))

    def _coverage(self, header: Any, seen: Segmentation, coverage: Coverage, trust: float) -> Any:
        kinds = self._types.types
        regions = [
            kinds["unet_seg_msgs/msg/RegionCoverage"](
                region.name, region.valid_pixels, region.fraction, region.mean_confidence
            )
            for region in coverage.regions
        ]
        return kinds[CLASS_COVERAGE](
            header,
            self._model_id,
            *seen.mask.shape,
            list(seen.class_names),
            regions,
            coverage.mean_confidence,
            coverage.low_confidence_fraction,
            dropped=0,
            lost=0,
            trust=trust,
            age=0.0,
        )

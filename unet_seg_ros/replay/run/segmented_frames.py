"""Segments every frame of a drive in order, without DDS. Reading and decoding overlap with the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

from unet_seg_ros.data.ros_images import ImageError
from unet_seg_ros.engine import OutOfMemory
from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.source.drive import Array, Drive, DriveFrame, message_pixels
from unet_seg_ros.replay.source.prefetch import prefetch
from unet_seg_ros.segmenter import Segmentation, Segmenter
from unet_seg_ros.vocabulary import Drop


@dataclass
class Seen:
    """A frame and what is known of it so far: ``image`` H×W×3 uint8 RGB, ``label`` H×W uint8 train ids, ``other`` the
    mask of a second model. ``dropped`` is the reason (``Drop``) why the frame has no mask; a ``segmentation`` exists
    even then if the network's output is unusable. ``why`` is the error of this or of the second model. ``stages`` are
    in seconds."""

    index: int
    frame: DriveFrame
    image: Array | None = None
    label: Array | None = None
    segmentation: Segmentation | None = None
    other: Array | None = None
    dropped: str = ""
    why: str = ""
    stages: dict[str, float] = field(default_factory=dict)


def segmented(drive: Drive, segmenter: Segmenter, against: Segmenter | None, truth: Truth) -> Iterator[Seen]:
    """Segment all frames of the drive. Raises SourceError if a frame cannot be read, and DeviceLost."""
    return prefetch(_segmented(prefetch(_decoded(drive, truth)), segmenter, against), depth=2)


def _decoded(drive: Drive, truth: Truth) -> Iterator[Seen]:
    for index, frame in enumerate(drive.frames()):
        seen = Seen(index, frame)
        start = perf_counter()
        if frame.problem:
            seen.dropped, seen.why = Drop.MALFORMED.value, frame.problem
            truth.skip(frame.camera, frame.stamp_ns)
            yield seen
            continue
        try:
            seen.image = message_pixels(frame.message)
        except ImageError as error:
            seen.dropped, seen.why = Drop.MALFORMED.value, str(error)
            truth.skip(frame.camera, frame.stamp_ns)
        else:
            seen.stages["decode"] = perf_counter() - start
            seen.label = truth.label(frame.camera, frame.stamp_ns, frame.label, seen.image.shape)
        yield seen


def _segmented(frames: Iterator[Seen], segmenter: Segmenter, against: Segmenter | None) -> Iterator[Seen]:
    for seen in frames:
        if seen.image is not None:
            try:
                seen.segmentation = segmenter([seen.image])[0]
                seen.stages |= seen.segmentation.timings._asdict()
                if seen.segmentation.fault:
                    seen.dropped, seen.why = Drop.BROKEN_MODEL.value, seen.segmentation.fault
                seen.other = against([seen.image])[0].mask if against else None
            except OutOfMemory as error:
                seen.why = str(error)
                if seen.segmentation is None:
                    seen.dropped = Drop.OUT_OF_MEMORY.value
        yield seen

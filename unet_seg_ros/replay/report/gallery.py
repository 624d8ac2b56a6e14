"""Collects the pictures of a report while the frames are processed: a short film of each camera, and the worst frames.
The memory that it needs does not depend on the length of the drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np

from unet_seg_ros import draw
from unet_seg_ros.data.labels import VOID
from unet_seg_ros.health.trust import Health
from unet_seg_ros.replay.report.colors import RIGHT, UNKNOWN, WRONG
from unet_seg_ros.replay.result import FrameId
from unet_seg_ros.replay.source.drive import Array

MAX_FRAMES = 240
"""Largest number of pictures in the film of a camera. When it is reached, every second picture is removed, and half as
many frames are taken from then on."""
WIDTH = 640
"""Largest width of a picture in pixels."""
WORST = 6
"""Number of the worst frames."""
APART_NS = 10**9
"""Two of the worst frames of one camera are at least this many nanoseconds apart, so that they show different
scenes."""


@dataclass(frozen=True)
class Shot:
    """A segmented frame: ``image`` uint8[H, W, 3] RGB, ``mask`` and ``label`` uint8[H, W] class ids, ``confidence``
    uint8[H, W]. ``beside`` makes a picture, uint8[H, W, 3] RGB, that is shown next to the frame; its argument is the
    height in pixels. ``health`` is None if it is not known."""

    frame: FrameId
    image: Array
    mask: Array
    confidence: Array
    label: Array | None = None
    beside: Callable[[int], Array] | None = None
    health: Health | None = None


@dataclass(frozen=True)
class Picture:
    """A JPEG of one frame with its classes as an overlay. ``at_ns`` is its time in nanoseconds since the drive
    began."""

    at_ns: int
    jpeg: bytes


@dataclass(frozen=True)
class Bad:
    """One of the worst frames. The higher its ``score``, the worse it is; ``why`` is the reason. ``tiles`` are JPEGs by
    name: input, prediction and confidence or, with a label, input, label, prediction and error."""

    camera: str
    at_ns: int
    stamp_ns: int
    score: float
    why: str
    tiles: dict[str, bytes]


@dataclass
class Gallery:
    """The collected pictures. ``palette`` is uint8[256, 3], RGB by class id. ``table`` is uint8[256], the grouping in
    which masks and labels are compared. ``films`` are the pictures of the drive by camera, ``worst`` are the worst
    frames, the worst one first, and ``distrusted`` are those with the lowest trust among the frames with a flag."""

    palette: Array
    table: Array
    films: dict[str, list[Picture]] = field(default_factory=dict)
    worst: list[Bad] = field(default_factory=list)
    distrusted: list[Bad] = field(default_factory=list)
    _strides: dict[str, int] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)

    def take(self, shot: Shot, score: float, why: str) -> None:
        """Add a frame. The higher its ``score``, the worse the frame is; ``why`` is the reason. A frame with the score
        NaN is never one of the worst."""
        self._add_picture(shot)
        self.worst = self._ranked(self.worst, shot, score, why)
        if shot.health and shot.health.flags:
            trust = shot.health.trust
            self.distrusted = self._ranked(self.distrusted, shot, 1 - trust, f"trust {trust:.2f}: {shot.health.reason}")

    def _ranked(self, before: list[Bad], shot: Shot, score: float, why: str) -> list[Bad]:
        """The list ``before``, with the frame added if it is one of the worst."""
        camera, at_ns = shot.frame.camera, shot.frame.at_ns
        rivals = [bad for bad in before if bad.camera == camera and abs(bad.at_ns - at_ns) < APART_NS]
        full = len(before) == WORST and not rivals
        if not all(score > bad.score for bad in (rivals or (before[-1:] if full else []))) or score != score:
            return before
        kept = [bad for bad in before if bad not in rivals]
        kept.append(Bad(camera, at_ns, shot.frame.stamp_ns, score, why, self._tiles(shot)))
        return sorted(kept, key=lambda bad: -bad.score)[:WORST]

    def _add_picture(self, shot: Shot) -> None:
        camera = shot.frame.camera
        film = self.films.setdefault(camera, [])
        number, stride = self._taken.get(camera, 0), self._strides.get(camera, 1)
        self._taken[camera] = number + 1
        if number % stride:
            return
        overlay = draw.overlay(shrunk(shot.image), shrunk(shot.mask), self.palette)
        if shot.beside is not None:
            overlay = np.hstack([overlay, shot.beside(overlay.shape[0])])
        film.append(Picture(shot.frame.at_ns, jpeg(overlay)))
        if len(film) >= MAX_FRAMES:
            del film[1::2]
            self._strides[camera] = 2 * stride

    def _tiles(self, shot: Shot) -> dict[str, bytes]:
        tiles, mask = {"input": shrunk(shot.image)}, shrunk(shot.mask)
        if shot.label is None:
            tiles["prediction"] = draw.colorize(mask, self.palette)
            tiles["confidence"] = np.repeat(shrunk(shot.confidence)[..., None], 3, axis=2)
        else:
            label = shrunk(shot.label)
            tiles["label"] = draw.colorize(label, self.palette)
            tiles["prediction"] = draw.colorize(mask, self.palette)
            tiles["error"] = errors(self.table[label], self.table[mask])
        return {name: jpeg(tile) for name, tile in tiles.items()}


def errors(label: Array, mask: Array) -> Array:
    """A picture that shows where label and mask differ, uint8[H, W, 3] RGB; both are uint8[H, W] class ids."""
    picture = np.full((*mask.shape, 3), RIGHT, np.uint8)
    picture[label != mask] = WRONG
    picture[label == VOID] = UNKNOWN
    return picture


def shrunk(pixels: Array) -> Array:
    """Shrink an image or class ids to at most ``WIDTH`` pixels wide. Class ids, which have no third axis, are sampled
    by the nearest pixel and never mixed."""
    height, width = pixels.shape[:2]
    if width <= WIDTH:
        return pixels
    size = WIDTH, max(1, round(height * WIDTH / width))
    return cast(
        Array, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if pixels.ndim == 3 else cv2.INTER_NEAREST)
    )


def jpeg(rgb: Array) -> bytes:
    """Encode uint8[H, W, 3] RGB as a JPEG file."""
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def pixels_of(picture: bytes) -> Array:
    """Decode a JPEG file to uint8[H, W, 3] RGB."""
    return cast(Array, cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB))

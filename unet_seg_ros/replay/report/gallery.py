"""The pictures of a report, kept while the frames go by: the drive in short, and its worst frames. Needs little memory,
however long the drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np

from unet_seg_ros import draw
from unet_seg_ros.data.labels import VOID
from unet_seg_ros.health.monitor import Health
from unet_seg_ros.replay.result import FrameId
from unet_seg_ros.replay.source.drive import Array

MAX_FRAMES = 240
"""Of the drive in short, for each camera: when there are so many, every second one is dropped from there on."""
WIDTH = 640
WORST = 6
APART_NS = 10**9
"""Between two worst frames of one camera, or they would show one moment six times."""
RIGHT, WRONG, UNKNOWN = (222, 222, 222), (214, 40, 40), (70, 70, 70)
"""Colours of a pixel whose class is the label's, is another, or has no label."""


@dataclass(frozen=True)
class Shot:
    """A frame that was segmented: ``image`` H×W×3 uint8 RGB, ``mask`` and ``label`` H×W uint8 class ids, ``confidence``
    H×W uint8. ``beside`` gives a picture of a wanted height in pixels to be shown next to it, H×W×3 uint8 RGB;
    ``health`` is None where it is not known."""

    frame: FrameId
    image: Array
    mask: Array
    confidence: Array
    label: Array | None = None
    beside: Callable[[int], Array] | None = None
    health: Health | None = None


@dataclass(frozen=True)
class Picture:
    """A JPEG of one frame with its classes laid over it; ``at_ns`` is when, since the drive began."""

    at_ns: int
    jpeg: bytes


@dataclass(frozen=True)
class Bad:
    """A frame that is worse than most by ``score``, for the reason ``why``. ``tiles`` are JPEGs by name: input, label
    (if there is one), prediction, and error or, without a label, confidence."""

    camera: str
    at_ns: int
    stamp_ns: int
    score: float
    why: str
    tiles: dict[str, bytes]


@dataclass
class Gallery:
    """``palette`` is uint8[256, 3] RGB by class id, ``table`` uint8[256] the grouping that masks and labels are
    compared in. ``films`` are the drive in short by camera, ``worst`` the worst frames, the very worst first, and
    ``distrusted`` those of least trust among the frames whose health has a flag."""

    palette: Array
    table: Array
    films: dict[str, list[Picture]] = field(default_factory=dict)
    worst: list[Bad] = field(default_factory=list)
    distrusted: list[Bad] = field(default_factory=list)
    _strides: dict[str, int] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)

    def take(self, shot: Shot, score: float, why: str) -> None:
        """Take in a frame. The higher its ``score``, the worse the frame is, for the reason ``why``. A frame whose
        score is NaN is never one of the worst."""
        self._add_picture(shot)
        self.worst = self._ranked(self.worst, shot, score, why)
        if shot.health and shot.health.flags:
            trust = shot.health.trust
            self.distrusted = self._ranked(self.distrusted, shot, 1 - trust, f"trust {trust:.2f}: {shot.health.reason}")

    def _ranked(self, before: list[Bad], shot: Shot, score: float, why: str) -> list[Bad]:
        """``before`` with the frame, if it is one of the worst."""
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
    """Where the two differ, H×W×3 uint8 RGB; both are H×W uint8 class ids."""
    picture = np.full((*mask.shape, 3), RIGHT, np.uint8)
    picture[label != mask] = WRONG
    picture[label == VOID] = UNKNOWN
    return picture


def shrunk(pixels: Array) -> Array:
    """At most ``WIDTH`` wide; class ids, which have no third axis, are picked and not mixed."""
    height, width = pixels.shape[:2]
    if width <= WIDTH:
        return pixels
    size = WIDTH, max(1, round(height * WIDTH / width))
    return cast(
        Array, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if pixels.ndim == 3 else cv2.INTER_NEAREST)
    )


def jpeg(rgb: Array) -> bytes:
    """H×W×3 uint8 RGB → a JPEG file."""
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def pixels_of(picture: bytes) -> Array:
    """The other way round."""
    return cast(Array, cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB))

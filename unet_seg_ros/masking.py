"""Sets pixels of a segmentation to 255 (no class): those that show the car itself, and those of low confidence."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.image_files import MAX_BYTES, PictureError, decode
from unet_seg_ros.data.labels import VOID
from unet_seg_ros.files import of_user, read_bytes
from unet_seg_ros.metrics.coverage import Point, Region
from unet_seg_ros.segmenter import Segmentation
from unet_seg_ros.text import LINE, quoted


class Ignored:
    """The pixels of one camera that are always ignored.

    Each of ``entries`` is a polygon or the path of a PNG. A polygon is a text of numbers x0 y0 x1 y1 … in fractions
    0..1 of width and height, at least 3 points. A PNG is resized to the frame (nearest neighbour), and its pixels that
    are not black are ignored. ``name`` is the parameter that the entries come from. Raises ValueError with one line
    that begins with ``name``.
    """

    def __init__(self, entries: tuple[str, ...], name: str = "ignore") -> None:
        self._polygons: list[Region] = []
        self._pictures: list[NDArray[np.bool_]] = []
        for entry in entries:
            outline = polygon(entry, name)
            if outline is None:
                self._pictures.append(_picture(of_user(entry), name))
            else:
                self._polygons.append(outline)
        self._pixels = lru_cache(maxsize=4)(self._of_size)  # most frames have the same size

    def __bool__(self) -> bool:
        return bool(self._polygons or self._pictures)

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """H×W bool, read-only: the pixels that are ignored in a frame of that size."""
        return self._pixels(height, width)

    def _of_size(self, height: int, width: int) -> NDArray[np.bool_]:
        ignored = np.zeros((height, width), np.bool_)
        for outline in self._polygons:
            ignored |= outline.pixels(height, width)
        for picture in self._pictures:
            ignored |= cv2.resize(picture.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).view(
                np.bool_
            )
        ignored.setflags(write=False)
        return ignored


def masked(seen: Segmentation, ignored: Ignored | None = None, unknown_below: float = 0.0) -> Segmentation:
    """The segmentation with 255 in the mask where a pixel is ignored or less probable than ``unknown_below`` (0..1).

    Ignored pixels also get confidence 0 and do not count in the coverage. Nothing is copied if nothing changes.
    """
    mask, confidence = seen.mask, seen.confidence
    if unknown_below > 0:
        mask = np.where(confidence < unknown_below * 255, np.uint8(VOID), mask)
    if not ignored:
        return seen if mask is seen.mask else dataclasses.replace(seen, mask=mask)
    out = ignored.pixels(*mask.shape)
    mask = np.where(out, np.uint8(VOID), mask)
    confidence = np.where(out, np.uint8(0), confidence)
    return dataclasses.replace(seen, mask=mask, confidence=confidence, ignored=int(np.count_nonzero(out)))


def polygon(entry: str, name: str) -> Region | None:
    """The polygon of an entry that holds numbers; None if the entry is a path."""
    try:
        numbers = [float(number) for number in entry.replace(",", " ").split()]
    except ValueError:
        return None
    try:
        points: tuple[Point, ...] = Region.from_flat("ignored", numbers).polygon
    except ValueError as error:
        raise ValueError(f"{name}: {quoted(entry)}: {str(error).partition(': ')[2]}") from None
    return Region("ignored", points)


def _picture(path: Path, name: str) -> NDArray[np.bool_]:
    try:
        picture = decode(read_bytes(path, MAX_BYTES), grey=True).pixels
    except (OSError, PictureError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{name}: {quoted(str(path), LINE)} is neither a polygon (numbers x0 y0 x1 y1 …) nor a picture that can be "
            f"read: {reason or error}"
        ) from error
    return np.asarray(picture.reshape(*picture.shape[:2], -1).any(axis=2))

"""How much of a frame, or of a region of it, each class covers, and with which confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID
from unet_seg_ros.text import quoted

WHOLE_IMAGE = "image"
"""Name of the first region of every coverage, the whole frame. No other region may have this name."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A polygon in a frame of any size. ``polygon`` holds points (x, y) as fractions 0..1 of width and height.

    The last point is joined to the first, and the even-odd rule says what is inside. ``cameras`` names the cameras
    that the region belongs to; empty means all. Raises ValueError, naming the parameter that is wrong.
    """

    name: str
    polygon: tuple[Point, ...]
    cameras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or self.name == WHOLE_IMAGE:
            raise ValueError(f"a region can't be named '{self.name}'")
        if len(self.polygon) < 3:
            raise ValueError(f"{_parameter(self.name)}: {len(self.polygon)} points, a polygon has at least 3")
        for number in (number for point in self.polygon for number in point):
            if not 0 <= number <= 1:  # true for NaN as well
                raise ValueError(f"{_parameter(self.name)}: {number} is not a fraction of the frame, 0 to 1")

    @classmethod
    def from_flat(cls, name: str, numbers: Sequence[float], cameras: Sequence[str] = ()) -> Region:
        """A region from the numbers x0, y0, x1, y1, … of the parameter ``region.NAME.polygon``. Raises ValueError."""
        try:
            values = [float(number) for number in numbers]
        except (TypeError, ValueError):
            raise ValueError(f"{_parameter(name)}: must be a list of numbers, not {quoted(numbers)}") from None
        if len(numbers) % 2:
            raise ValueError(f"{_parameter(name)}: {len(numbers)} numbers, x and y must come in pairs")
        return cls(name, tuple(zip(values[::2], values[1::2], strict=True)), tuple(cameras))

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """H×W bool, read-only: the pixels whose centre is inside. Cached, since most frames have the same size."""
        return _inside(self.polygon, height, width)


def _parameter(name: str) -> str:
    return f"region.{name}.polygon"


@lru_cache(maxsize=64)
def _inside(polygon: tuple[Point, ...], height: int, width: int) -> NDArray[np.bool_]:
    """H×W bool: a pixel is inside if the ray from its centre to the right crosses an odd number of edges.

    In every row that an edge crosses, it toggles all pixels left of the crossing. To do so it marks the first pixel
    that is not toggled; the sum of the marks from the right then counts the crossings.
    """
    xs, ys = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    marks = np.zeros((height, width + 1), np.bool_)
    for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        # always from the upper point: two regions that share an edge then have no pixel in common and no gap between
        # them
        (x0, y0), (x1, y1) = sorted((start, end), key=lambda point: point[1])
        rows = np.flatnonzero((y0 <= ys) & (ys < y1))
        if rows.size:
            crossings = x0 + (ys[rows] - y0) / (y1 - y0) * (x1 - x0)
            marks[rows, np.searchsorted(xs, crossings)] ^= True
    inside = np.logical_xor.accumulate(marks[:, :0:-1], axis=1)[:, ::-1]
    inside.setflags(write=False)
    return inside


@dataclass(frozen=True, eq=False)
class RegionCoverage:
    """One region. For each class ``fraction`` is its share of the valid pixels (float32[n], all 0 if there are none),
    and ``mean_confidence`` the mean over its pixels (float32[n], 0..1, NaN if it has none). ``valid_pixels`` counts
    pixels that are not void."""

    name: str
    valid_pixels: int
    fraction: NDArray[np.float32]
    mean_confidence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Coverage:
    """All regions of a frame; ``regions[0]`` is the whole frame. ``mean_confidence`` (0..1) and
    ``low_confidence_fraction`` (share of pixels below the threshold) are over all of the frame's pixels, void ones too,
    but not over ignored ones."""

    regions: tuple[RegionCoverage, ...]
    mean_confidence: float
    low_confidence_fraction: float


def measure(
    mask: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    num_classes: int,
    regions: Sequence[Region] = (),
    confidence_threshold: float = 0.5,
    ignored: int = 0,
) -> Coverage:
    """Measure a frame and each of ``regions``; the figures are exact, from pixel counts.

    ``mask`` (H×W uint8) holds class ids, 255 = void; ``confidence`` (H×W uint8) 0..255 = 0..1; ``num_classes`` is
    at most 255. ``ignored`` counts the pixels that are left out of every figure: they have 255 in the mask and
    confidence 0. Raises ValueError if the two differ in size or are empty.
    """
    if mask.shape != confidence.shape or mask.ndim != 2 or mask.size == 0:
        raise ValueError(
            f"mask and confidence must have the same size and not be empty, not {mask.shape} and {confidence.shape}"
        )
    codes = mask.astype(np.uint16) * np.uint16(256) + confidence
    whole = _histogram(codes.ravel())
    covered = [_region_coverage(WHOLE_IMAGE, whole, num_classes)]
    for region in regions:
        covered.append(_region_coverage(region.name, _histogram(codes[region.pixels(*mask.shape)]), num_classes))
    per_level = whole.sum(axis=0)
    per_level[0] -= ignored
    levels, pixels = np.arange(256), max(mask.size - ignored, 1)
    return Coverage(
        tuple(covered),
        float(per_level @ levels / (255 * pixels)),
        float(per_level[levels / 255 < confidence_threshold].sum() / pixels),
    )


def _histogram(codes: NDArray[np.uint16]) -> NDArray[np.int64]:
    """int64[256, 256]: the number of pixels of each class id and confidence."""
    return np.bincount(codes, minlength=1 << 16).reshape(256, 256).astype(np.int64)


def _region_coverage(name: str, histogram: NDArray[np.int64], num_classes: int) -> RegionCoverage:
    pixels = histogram.sum(axis=1)
    valid = int(pixels.sum() - pixels[VOID])
    count, total = pixels[:num_classes], (histogram @ np.arange(256))[:num_classes]
    mean = np.divide(total, 255 * count, out=np.full(num_classes, math.nan), where=count > 0)
    return RegionCoverage(name, valid, (count / max(valid, 1)).astype(np.float32), mean.astype(np.float32))

"""How much of a frame, or of a region of it, each class covers, and how sure the network was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID

WHOLE_IMAGE = "image"
"""Name of the region that every coverage starts with; no other region may have it."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A polygon in a frame, of any size: ``polygon`` are (x, y) as fractions 0..1 of its width and height.

    It is filled by the even-odd rule; the last point is joined to the first. ``cameras`` names the cameras whose
    frames it is measured in; empty means all. Raises ValueError, naming the parameter that is wrong.
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
            if not 0 <= number <= 1:  # NaN is not either
                raise ValueError(f"{_parameter(self.name)}: {number} is not a fraction of the frame, 0 to 1")

    @classmethod
    def from_flat(cls, name: str, numbers: Sequence[float], cameras: Sequence[str] = ()) -> Region:
        """From the parameter ``region.NAME.polygon``: x0, y0, x1, y1, …; raises ValueError as the class does."""
        try:
            values = [float(number) for number in numbers]
        except (TypeError, ValueError):
            raise ValueError(f"{_parameter(name)}: must be a list of numbers, not {numbers!r}") from None
        if len(numbers) % 2:
            raise ValueError(f"{_parameter(name)}: {len(numbers)} numbers, x and y must come in pairs")
        return cls(name, tuple(zip(values[::2], values[1::2], strict=True)), tuple(cameras))

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """H×W bool, read-only: pixels whose centre is inside. Kept, since frames of one size follow each other."""
        return _inside(self.polygon, height, width)


def _parameter(name: str) -> str:
    return f"region.{name}.polygon"


@lru_cache(maxsize=64)
def _inside(polygon: tuple[Point, ...], height: int, width: int) -> NDArray[np.bool_]:
    """A centre is inside if the ray to its right crosses an odd number of edges.

    Each edge toggles, in every row that it crosses, all pixels left of the crossing: it marks the first pixel that
    is not, and the marks are summed from the right.
    """
    xs, ys = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    marks = np.zeros((height, width + 1), np.bool_)
    for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        # always from the upper point: regions that share an edge then share no pixel and leave none out
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
    """One region: ``fraction`` (float32[n], of its valid pixels, all 0 if there are none) and ``mean_confidence``
    (float32[n], 0..1, NaN where absent) per class; ``valid_pixels`` are those that are not void."""

    name: str
    valid_pixels: int
    fraction: NDArray[np.float32]
    mean_confidence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Coverage:
    """``regions[0]`` is the whole image; ``mean_confidence`` (0..1) and ``low_confidence_fraction`` (share of pixels
    under the threshold) are over all of its pixels that are not ignored, void ones too."""

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
    """Coverage of a frame and of each of ``regions``, exact: from pixel counts.

    ``mask`` (H×W uint8) holds class ids, 255 = void; ``confidence`` (H×W uint8) 0..255 = 0..1; ``num_classes`` is
    at most 255. ``ignored`` is how many pixels are out of everything; they have 255 in the mask and confidence 0.
    Raises ValueError if the two differ in size or are empty.
    """
    if mask.shape != confidence.shape or mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"mask {mask.shape} and confidence {confidence.shape} must have one size, and pixels")
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
    """int64[256, 256]: pixels per class id and confidence."""
    return np.bincount(codes, minlength=1 << 16).reshape(256, 256).astype(np.int64)


def _region_coverage(name: str, histogram: NDArray[np.int64], num_classes: int) -> RegionCoverage:
    pixels = histogram.sum(axis=1)
    valid = int(pixels.sum() - pixels[VOID])
    count, total = pixels[:num_classes], (histogram @ np.arange(256))[:num_classes]
    mean = np.divide(total, 255 * count, out=np.full(num_classes, math.nan), where=count > 0)
    return RegionCoverage(name, valid, (count / max(valid, 1)).astype(np.float32), mean.astype(np.float32))

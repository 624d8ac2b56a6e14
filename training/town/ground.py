"""The ground of the synthetic town seen from above: surfaces, kerbs, lane markings and shadows, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.shapes import ID, Color, grain, pick, shade

BLOCK = 40.0
"""Length of a block of the street, metres."""
HALF_WIDTH = 26.0
"""The ground is painted this far to each side of the street's middle, metres."""
CELL_S, CELL_T = 0.1, 0.05
"""Size of a ground pixel along and across the street, metres."""

Array = NDArray[np.float32]
Shadow = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Band:
    """A strip along the street up to ``edge`` metres from its middle."""

    edge: float
    label: int
    color: Color
    seam: float = 0


@dataclass(frozen=True)
class Surface:
    """What all blocks of a street have in common: markings, and the bands from the kerb outwards, left and right."""

    asphalt: Color
    bands: tuple[tuple[Band, ...], tuple[Band, ...]]
    half: float
    lane: float
    parking: float
    centre: int
    dash: float
    edge_line: Color | None
    rails: tuple[float, ...]
    paint: Color
    wear: float
    shadow: float


@dataclass(frozen=True)
class Ground:
    """A stretch of ground that begins ``start`` metres along the street: label ids uint8[S, T], and colours in levels.
    The first level is uint8[S, T, 3]; each further one has a quarter of the rows of the level before."""

    start: float
    label: NDArray[np.uint8]
    levels: tuple[NDArray[np.uint8], ...]


def join(start: float, colors: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.uint8]]) -> Ground:
    """Join consecutive blocks, as ``paint_block`` makes them, into one stretch of ground."""
    levels = [np.concatenate(colors)]
    for _ in range(3):
        rows, columns = levels[-1].shape[:2]
        levels.append(np.asarray(cv2.resize(levels[-1], (columns, rows // 4), interpolation=cv2.INTER_AREA), np.uint8))
    return Ground(start, np.concatenate(labels), tuple(levels))


def _columns(t0: float, t1: float) -> slice:
    low, high = sorted((t0, t1))
    return slice(max(0, round((low + HALF_WIDTH) / CELL_T)), max(0, round((high + HALF_WIDTH) / CELL_T)))


def _rows(s0: float, s1: float) -> slice:
    return slice(max(0, round(s0 / CELL_S)), max(0, round(s1 / CELL_S)))


def _markings(surface: Surface, start: float, paint: NDArray[np.float32]) -> None:
    """Write the opacity of the paint on the road into ``paint`` (float32[rows, columns])."""
    along = start + np.arange(paint.shape[0]) * CELL_S
    dashes = (along % (3 * surface.dash) < surface.dash).astype(np.float32)[:, None]
    line = 0.07
    if surface.centre == 1:
        paint[:, _columns(-line, line)] = dashes
    elif surface.centre == 2:
        for t in (-0.14, 0.14):
            paint[:, _columns(t - line, t + line)] = 1
    drivable = surface.half - surface.parking
    for t in np.arange(surface.lane, drivable - 1, surface.lane):
        for side in (-1, 1):
            paint[:, _columns(side * t - line, side * t + line)] = dashes
    if surface.parking:
        for side in (-1, 1):
            paint[:, _columns(side * drivable - line, side * drivable + line)] = along[:, None] % 1.5 < 0.8
    elif surface.edge_line:
        for side in (-1, 1):
            paint[:, _columns(side * (drivable - 0.3), side * (drivable - 0.4))] = 1


def _paint_road(
    rng: np.random.Generator, surface: Surface, start: float, junction: tuple[float, float] | None, color: Array
) -> None:
    """Write the road between the kerbs into ``color`` (float32[S, T, 3]): asphalt, repairs, manholes, wheel tracks."""
    road = _columns(-surface.half, surface.half)
    rows, columns = color.shape[0], road.stop - road.start
    color[:, road] = np.asarray(surface.asphalt, np.float32) * grain(rng, rows, columns, 0.04)
    for _ in range(int(rng.integers(0, 5))):  # repairs
        s, t, long, wide = rng.uniform([0, -surface.half, 1, 0.5], [BLOCK, surface.half - 2.2, 12, 2.2])
        color[_rows(s, s + long), _columns(t, t + wide)] *= np.float32(rng.uniform(0.75, 1.2))
    for _ in range(int(rng.integers(0, 4))):  # manholes
        s, t = rng.uniform([1, -surface.half + 0.5], [BLOCK - 1, surface.half - 0.5])
        centre = round((t + HALF_WIDTH) / CELL_T), round(s / CELL_S)
        cv2.ellipse(color, centre, (7, 4), 0, 0, 360, shade(surface.asphalt, 0.78), -1)
    for lane in np.arange(surface.lane / 2, surface.half - surface.parking, surface.lane):  # where wheels run
        for t in (lane - 0.75, lane + 0.75, -lane - 0.75, -lane + 0.75):
            color[:, _columns(t - 0.25, t + 0.25)] *= np.float32(0.95)
    paint = np.zeros(color.shape[:2], np.float32)
    _markings(surface, start, paint)
    if junction:
        first, last = junction
        paint[_rows(first, last)] = 0
        for stripe in np.arange(-surface.half + 0.5, surface.half - 0.5, 1.1):
            paint[_rows(first - 4, first - 1), _columns(stripe, stripe + 0.55)] = 1
        paint[_rows(first - 5.2, first - 4.8), _columns(0, surface.half)] = 1
    painted = paint[:, road] > 0
    worn = np.clip(0.85 - surface.wear * (grain(rng, rows, columns, 0.8)[painted] - 0.9), 0.2, 0.95)
    asphalt = color[:, road]
    asphalt[painted] += paint[:, road][painted, None] * worn * (surface.paint - asphalt[painted])
    for t in surface.rails:
        color[:, _columns(t - 0.06, t + 0.06)] = (96, 94, 92)
        color[:, _columns(t - 0.02, t + 0.02)] = (168, 168, 170)


def _paint_side(rng: np.random.Generator, surface: Surface, side: int, color: Array, label: NDArray[np.uint8]) -> None:
    """Write what is beside the road on one ``side`` (-1 or 1) into ``color`` (float32[S, T, 3]) and ``label``."""
    inner, bands = surface.half, surface.bands[max(side, 0)]
    for band in bands:
        here = _columns(side * inner, side * band.edge)
        label[:, here] = band.label
        color[:, here] = band.color
        if band.seam:
            color[:: max(1, round(band.seam / CELL_S)), here] *= 0.82
            color[:, here][:, :: max(1, round(band.seam / CELL_T))] *= 0.86
        rough = 0.14 if band.label == ID["terrain"] else 0.05
        color[:, here] *= grain(rng, len(color), here.stop - here.start, rough)
        inner = band.edge
    if bands[0].label == ID["sidewalk"]:  # kerbstones
        color[:, _columns(side * surface.half, side * (surface.half + 0.15))] = pick(rng, [(150, 148, 144)], 4)
    if surface.edge_line and not surface.parking:
        color[:, _columns(side * (surface.half - 0.15), side * (surface.half - 0.25))] = surface.edge_line


def _cast_shadows(color: NDArray[np.float32], shadows: Sequence[Shadow], left: float) -> None:
    """Darken float32[S, T, 3] within the outlines; ``left`` is the share of light that is left there."""
    light = np.ones(color.shape[:2], np.float32)
    for outline in shadows:
        pixels = [((t + HALF_WIDTH) / CELL_T, s / CELL_S) for s, t in outline]
        cv2.fillPoly(light, [np.asarray(pixels).round().astype(np.int32)], left)
    soft = cv2.blur(light, (5, 3))
    color *= cv2.merge((soft, soft, soft))


def paint_block(
    rng: np.random.Generator,
    surface: Surface,
    start: float,
    junction: tuple[float, float] | None,
    shadows: Sequence[Shadow],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint the block that begins ``start`` metres along the street: colours uint8[S, T, 3] and label ids uint8[S, T].

    ``junction`` is where, within the block, a side street crosses; ``shadows`` are polygons of (along, across).
    """
    shape = round(BLOCK / CELL_S), round(2 * HALF_WIDTH / CELL_T)
    color, label = np.empty((*shape, 3), np.float32), np.full(shape, ID["road"], np.uint8)
    _paint_road(rng, surface, start, junction, color)
    for side in (-1, 1):
        _paint_side(rng, surface, side, color, label)
    if junction:
        across = _rows(*junction)
        for side in (-1, 1):
            beyond = _columns(side * surface.half, side * HALF_WIDTH)
            label[across, beyond] = ID["road"]
            color[across, beyond] = surface.asphalt * grain(
                rng, across.stop - across.start, beyond.stop - beyond.start, 0.05
            )
    if shadows and surface.shadow < 1:
        _cast_shadows(color, shadows, surface.shadow)
    return np.clip(color, 0, 255).astype(np.uint8), label

"""Meshes of the synthetic town's vehicles: prisms with windows, lights and wheels painted on their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.town.shapes import GLASS, ID, PAINTS, TYRE, Color, pick, shade

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """Faces in the order in which they are drawn; a face that is seen from behind is not drawn.

    ``vertices`` are float64[n, 3], metres forward, right and up from the ground below the vehicle's centre.
    Face ``i`` is ``vertices[starts[i]:starts[i + 1]]``; its outside is the right-handed side, to which ``normals[i]``
    points; ``colors[i]`` is its RGB.
    """

    vertices: NDArray[np.float64]
    starts: NDArray[np.int64]
    normals: NDArray[np.float64]
    colors: NDArray[np.float64]
    label: int
    length: float
    width: float


class _Builder:
    def __init__(self) -> None:
        self.faces: list[tuple[NDArray[np.float64], NDArray[np.float64], Color]] = []

    def face(self, points: Sequence[Point], normal: Point, color: Color) -> None:
        corners, out = np.asarray(points, np.float64), np.asarray(normal, np.float64)
        if np.cross(corners[1] - corners[0], corners[2] - corners[0]) @ out < 0:
            corners = corners[::-1]
        self.faces.append((corners, out, color))

    def prism(
        self,
        profile: Sequence[tuple[float, float]],
        half: float,
        color: Color,
        glass: Sequence[int] = (),
        top: float = 1,
    ) -> None:
        """Extrude a convex profile of (forward, up), ordered rear bottom, rear top, front top, front bottom.

        ``half`` is half the width, ``top`` the factor by which the upper points are narrower; ``glass`` numbers the
        strips (strip i runs from point i to i + 1) that are windows.
        """
        low = min(up for _, up in profile)
        width = [half if up == low else half * top for _, up in profile]
        middle = np.mean(profile, axis=0)
        for i, (f0, u0) in enumerate(profile):
            j = (i + 1) % len(profile)
            f1, u1 = profile[j]
            out = np.array([u0 - u1, f1 - f0])
            if out @ (np.array([(f0 + f1) / 2, (u0 + u1) / 2]) - middle) < 0:
                out = -out
            out = out / max(1e-6, float(np.hypot(*out)))
            corners = [(f0, -width[i], u0), (f0, width[i], u0), (f1, width[j], u1), (f1, -width[j], u1)]
            self.face(corners, (float(out[0]), 0, float(out[1])), GLASS if i in glass else color)
        for side in (-1, 1):
            points = [(f, side * w, u) for (f, u), w in zip(profile, width, strict=True)]
            self.face(points, (0, side, 0), shade(color, 0.95))

    def side_panes(self, panes: Sequence[Sequence[tuple[float, float]]], half: float, color: Color = GLASS) -> None:
        """Add polygons of (forward, up) on both sides."""
        for side in (-1, 1):
            for pane in panes:
                self.face([(f, side * half, u) for f, u in pane], (0, side, 0), color)

    def wheels(self, axles: Sequence[float], half: float, radius: float) -> None:
        angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for size, color in ((1.0, TYRE), (0.58, (120, 122, 124))):
            rim = [(size * radius * np.cos(a), radius + size * radius * np.sin(a)) for a in angle]
            self.side_panes([[(axle + f, u) for f, u in rim] for axle in axles], half, color)

    def end(self, forward: float, boxes: Sequence[tuple[float, float, float, float, Color]]) -> None:
        """Add boxes (left, low, right, high, color) on the front face (forward > 0) or the rear face."""
        for r0, u0, r1, u1, color in boxes:
            corners = [(forward, r0, u0), (forward, r1, u0), (forward, r1, u1), (forward, r0, u1)]
            self.face(corners, (1 if forward > 0 else -1, 0, 0), color)

    def mesh(self, label: int, length: float, width: float) -> Mesh:
        points, normals, colors = zip(*self.faces, strict=True)
        starts = np.cumsum([0, *(len(p) for p in points)])
        return Mesh(np.concatenate(points), starts, np.asarray(normals, float), np.asarray(colors, float), label,
                    length, width)  # fmt: skip


LAMP, TAIL, PLATE = (236, 236, 220), (170, 20, 24), (220, 210, 150)


def _lights(build: _Builder, half: float, front: float, rear: float, low: float, high: float) -> None:
    for end, color in ((front, LAMP), (rear, TAIL)):
        lights = [(-half + 0.06, low, -half + 0.4, high, color), (half - 0.4, low, half - 0.06, high, color)]
        build.end(end, [*lights, (-0.26, low - 0.2, 0.26, low - 0.08, PLATE)])


def _box(rear: float, front: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(rear, low), (rear, high), (front, high), (front, low)]


def car(rng: np.random.Generator) -> Mesh:
    """A hatchback, a saloon, an estate or a van."""
    build, paint, label, kind = _Builder(), pick(rng, PAINTS, 10), ID["car"], int(rng.integers(4))
    length, half = float(rng.uniform(3.7, 4.7)), float(rng.uniform(0.82, 0.93))
    high = float(rng.uniform(1.4, 1.55)) if kind < 3 else float(rng.uniform(1.8, 2.1))
    waist, end = 0.92 if kind < 3 else 1.05, length / 2
    build.prism(_box(-end + 0.3, end - 0.3, 0.16, 0.5), half - 0.05, TYRE)
    build.prism([(-end, 0.3), (-end, waist - 0.08), (-end + 0.15, waist), (end - 0.9, waist), (end - 0.1, waist - 0.2),
                 (end, 0.6), (end, 0.3)], half, paint)  # fmt: skip
    roof = {0: (-end + 0.35, 0.25), 1: (-0.9, 0.3), 2: (-end + 0.2, 0.25), 3: (-end + 0.1, end - 1.3)}[kind]
    foot = (-end + 0.05 if kind != 1 else -1.5, end - 0.85 if kind < 3 else end - 0.5)
    cabin = [(foot[0], waist), (roof[0], high), (roof[1], high), (foot[1], waist)]
    build.prism(cabin, half - 0.04, paint, (0, 2), 0.84)
    mid = (roof[0] + roof[1]) / 2
    low, up, slim = waist + 0.04, high - 0.09, (half - 0.04) * 0.95
    build.side_panes([[(foot[0] + 0.2, low), (roof[0] + 0.12, up), (mid - 0.06, up), (mid - 0.06, low)],
                      [(mid + 0.06, low), (mid + 0.06, up), (roof[1] - 0.06, up), (foot[1] - 0.18, low)]],
                     slim)  # fmt: skip
    build.wheels((-end + 0.8, end - 0.8), half + 0.01, 0.31)
    _lights(build, half, end + 0.01, -end - 0.01, 0.58, 0.76)
    build.end(end + 0.01, [(-0.45, 0.38, 0.45, 0.56, shade(paint, 0.4))])
    return build.mesh(label, length, 2 * half)


def truck(rng: np.random.Generator) -> Mesh:
    """A cab with a box, a tank-like body or a flat bed behind it."""
    build, label = _Builder(), ID["truck"]
    paint, cargo = (
        pick(rng, PAINTS, 20),
        pick(rng, [(214, 214, 210), (150, 150, 148), (176, 60, 40), (60, 90, 140)], 20),
    )
    end, half, high = float(rng.uniform(3.0, 4.8)), 1.2, float(rng.uniform(2.7, 3.6))
    build.prism(_box(-end + 0.2, end - 0.2, 0.3, 0.9), half - 0.15, TYRE)
    build.prism(_box(-end, end - 2.0, 0.9, high), half, cargo)
    build.prism(
        [(end - 1.85, 0.5), (end - 1.85, 2.5), (end - 0.35, 2.5), (end, 1.5), (end, 0.5)], half - 0.05, paint, (2,)
    )
    build.side_panes([[(end - 1.4, 1.55), (end - 1.4, 2.2), (end - 0.5, 2.2), (end - 0.3, 1.55)]], half - 0.04)
    build.side_panes([[(-end + 0.4, 1.4), (-end + 0.4, high - 0.4), (end - 2.4, high - 0.4), (end - 2.4, 1.4)]],
                     half + 0.01, shade(cargo, float(rng.uniform(0.7, 1.1))))  # fmt: skip
    build.wheels((-end + 1.0, -end + 2.0, end - 1.0), half + 0.02, 0.48)
    _lights(build, half, end + 0.01, -end - 0.01, 0.7, 0.88)
    build.end(-end - 0.01, [(-0.03, 1.0, 0.03, high - 0.1, shade(cargo, 0.5)), (-1.1, 0.95, 1.1, 1.05, TAIL)])
    return build.mesh(label, 2 * end, 2 * half)


def bus(rng: np.random.Generator) -> Mesh:
    """A single- or a double-decker."""
    build, label, double = _Builder(), ID["bus"], rng.random() < 0.35
    paint = pick(rng, [(178, 28, 30), (226, 190, 50), (40, 90, 150), (230, 230, 226), (40, 120, 70)], 14)
    end, half, high = float(rng.uniform(4.8, 6.0)), 1.25, 4.2 if double else 3.0
    build.prism(_box(-end, end, 0.32, high), half, paint)
    for floor in (1.25, 2.9) if double else (1.35,):
        windows = [_box(f + 0.06, f + 1.24, floor, floor + 0.95) for f in np.arange(-end + 0.3, end - 1.3, 1.3)]
        build.side_panes(windows, half + 0.01)
        build.end(end + 0.01, [(-1.12, floor - 0.1, 1.12, floor + 1.05, GLASS)])
        build.end(-end - 0.01, [(-0.95, floor + 0.1, 0.95, floor + 0.9, GLASS)])
    build.end(end + 0.01, [(-0.9, high - 0.45, 0.9, high - 0.15, (30, 26, 20)), (-0.5, high - 0.38, 0.5, high - 0.22,
                                                                               (236, 160, 40))])  # fmt: skip
    build.wheels((-end + 2.2, end - 2.0), half + 0.02, 0.48)
    _lights(build, half, end + 0.01, -end - 0.01, 0.62, 0.84)
    return build.mesh(label, 2 * end, 2 * half)


def tram(rng: np.random.Generator) -> Mesh:
    """A tram with one long body and slanted ends; Cityscapes' class for it is train."""
    build, label = _Builder(), ID["train"]
    paint, band = pick(rng, [(226, 226, 220), (196, 40, 36), (230, 196, 60), (50, 110, 90)], 14), pick(rng, PAINTS, 20)
    end, half, high = float(rng.uniform(9, 14)), 1.25, 3.3
    build.prism(_box(-end + 0.8, end - 0.8, 0.08, 0.4), half - 0.1, TYRE)
    profile = [(-end, 0.25), (-end, 1.2), (-end + 0.7, high), (end - 0.7, high), (end, 1.2), (end, 0.25)]
    build.prism(profile, half, paint, (1, 3))
    build.side_panes([_box(f + 0.08, f + 1.52, 1.3, 2.5) for f in np.arange(-end + 1.2, end - 2.5, 1.6)], half + 0.01)
    build.side_panes([_box(-end + 0.2, end - 0.2, 0.4, 0.75)], half + 0.01, band)
    build.prism(_box(-1.2, 1.2, high, high + 0.35), 0.8, (90, 92, 94))
    _lights(build, half, end + 0.01, -end - 0.01, 0.6, 0.85)
    return build.mesh(label, 2 * end, 2 * half)

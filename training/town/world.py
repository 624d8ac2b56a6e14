"""The synthetic town: a street, the objects beside it and the traffic on it, all made from one seed.

Positions are street coordinates: ``s`` metres along the street's middle line, ``t`` metres to its right, ``h`` metres
up. The street consists of blocks, each with a random generator of its own. So only the blocks in view are in memory,
however long the drive is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.town.ground import BLOCK, HALF_WIDTH, Band, Ground, Shadow, Surface, join, paint_block
from training.town.people import person, two_wheeler
from training.town.shapes import (
    GREENS,
    ID,
    METALS,
    Color,
    Texture,
    facade,
    fence,
    flat,
    gable,
    hedge,
    house_color,
    lamp,
    pick,
    sign,
    traffic_light,
    tree,
)
from training.town.vehicles import Mesh, bus, car, tram, truck

VIEW = 150.0
"""Objects are drawn up to this distance ahead, in metres."""


@dataclass(frozen=True)
class Panel:
    """A texture on a parallelogram; ``corners`` float64[3, 3] are its top left, top right and bottom left (s, t, h)."""

    corners: NDArray[np.float64]
    texture: Texture

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """The unit normal; which of the two sides it points to does not matter."""
        normal = np.cross(self.corners[1] - self.corners[0], self.corners[2] - self.corners[0])
        return np.asarray(normal / np.linalg.norm(normal))

    def light(self, sun: NDArray[np.float64], eye: NDArray[np.float64]) -> float:
        """Brightness of the side that is seen from ``eye``; ``sun`` points to the sun (both in s, t, h)."""
        towards = float(np.sign(self.normal @ (eye - self.corners[0])))
        return 0.8 + 0.25 * towards * float(self.normal @ sun)


@dataclass(frozen=True)
class Thing:
    """A vehicle, or a flat picture that faces the camera. It stands or moves.

    ``speed`` and ``drift`` are m/s along and across; ``reach`` is the distance after which a pedestrian turns
    round (0: never). A ``paced`` thing stays ``s`` metres ahead of the camera.
    """

    s: float
    t: float
    look: Mesh | tuple[Texture, ...]
    width: float = 0
    height: float = 0
    yaw: float = 0
    speed: float = 0
    drift: float = 0
    reach: float = 0
    paced: bool = False

    def at(self, time: float, ego: float) -> tuple[float, float]:
        """(s, t) at ``time`` seconds, when the camera is ``ego`` metres along."""
        if self.paced:
            return ego + self.s + min(4.0, self.s / 4) * float(np.sin(0.3 * time + self.s)), self.t
        gone = time
        if self.reach:
            leg = self.reach / max(abs(self.speed), abs(self.drift))
            gone = leg - abs(time % (2 * leg) - leg)
        return self.s + self.speed * gone, self.t + self.drift * gone


@dataclass(frozen=True)
class Block:
    """A part of the street: the colours of the ground, uint8[S, T, 3], its label ids, uint8[S, T], and the objects."""

    color: NDArray[np.uint8]
    label: NDArray[np.uint8]
    panels: tuple[Panel, ...]
    things: tuple[Thing, ...]


class Town:
    """The street of one drive; ``seconds`` is how long the drive lasts."""

    def __init__(self, seed: int, seconds: float) -> None:
        self.seed = seed
        rng = np.random.default_rng([seed, 0])
        self.side = 1 if rng.random() < 0.5 else -1  # traffic keeps right or left
        self.speed = float(rng.uniform(2, 12))
        self.lane = float(rng.uniform(2.5, 3.3))
        lanes = 2 if rng.random() < 0.12 else 1
        parking = float(rng.uniform(2.0, 2.4)) if rng.random() < 0.4 else 0.0
        self.half = lanes * self.lane + parking
        self.has_tram = rng.random() < 0.4
        self.ego_t = self.side * self.lane * (int(rng.integers(lanes)) + 0.5)
        self.bend, self.period = float(rng.choice([0, rng.uniform(0.05, 0.4)])), float(rng.uniform(180, 320))
        self.phase = float(rng.uniform(0, 2 * np.pi))
        self.lean = float(rng.uniform(-1.6, 1.6))  # shadow length across the street per metre of height
        self.sun = np.array([0.35, -0.6 * np.sign(self.lean), 0.7])
        self.surface = self._surface(rng, parking)
        self.lots = rng.dirichlet([2.8, 0.8, 1.1])  # building, park, walled
        self.storeys = rng.uniform(2, 5.5)
        self.fullness = {
            name: float(rng.uniform(low, high))
            for name, low, high in (
                ("trees", 0, 1),
                ("people", 0.5, 4.5),
                ("parked", 0.4, 0.95),
                ("front", 0.2, 0.9),
                ("junction", 0.2, 0.7),
            )
        }
        self._pools(rng)
        steps = np.arange(-60, self.speed * seconds + 2 * VIEW + 60, 0.5)
        heading = self.heading(steps)
        self._path = np.stack([steps, 0.5 * np.cumsum(np.sin(heading)), 0.5 * np.cumsum(np.cos(heading))])
        self.traffic = tuple(self._traffic(rng, seconds))
        self._blocks: dict[int, Block] = {}

    def _surface(self, rng: np.random.Generator, parking: float) -> Surface:
        grey = float(rng.uniform(62, 138))
        asphalt = pick(rng, [(grey, grey, grey)], 4)
        grass, soil = pick(rng, GREENS, 10), pick(rng, [(120, 104, 80), (96, 88, 66)], 10)
        paving = pick(rng, [(150, 146, 140), (120, 116, 112), (168, 150, 134), (176, 172, 160), (104, 100, 98)], 8)
        seam = float(rng.choice([0, 0.5, 0.8]))
        sides, fronts, lines = [], [], []
        for _ in range(2):
            edge, bands = self.half, []
            if rng.random() < 0.15:
                edge += float(rng.uniform(0.8, 3))
                bands.append(Band(edge, ID["terrain"], grass))
            if rng.random() < 0.95:
                edge += float(rng.uniform(2.2, 5))
                bands.append(Band(edge, ID["sidewalk"], paving, seam))
            garden = float(rng.choice([0, rng.uniform(1.0, 5)]))
            if garden or not bands:
                edge += garden or 2.0
                bands.append(Band(edge, ID["terrain"], grass if rng.random() < 0.7 else soil))
            bands.append(Band(HALF_WIDTH, ID["terrain"], grass))
            fronts.append(edge - garden if len(bands) > 2 else edge)
            lines.append(edge)
            sides.append(tuple(bands))
        rails = tuple(k * self.lane / 2 + r for k in (-1, 1) for r in (-0.72, 0.72)) if self.has_tram else ()
        self.lines, self.fronts = tuple(lines), tuple(fronts)  # for each side: distances of houses and garden walls
        edges: list[Color | None] = [None, (200, 170, 60), (214, 214, 210)]
        return Surface(
            asphalt=asphalt,
            bands=(sides[0], sides[1]),
            half=self.half,
            lane=self.lane,
            parking=parking,
            centre=int(rng.integers(3)),
            dash=float(rng.uniform(1.5, 4)),
            edge_line=edges[int(rng.integers(3))],
            rails=rails,
            paint=pick(rng, [(216, 216, 210)], 8),
            wear=float(rng.uniform(0.1, 0.8)),
            shadow=float(rng.choice([1.0, rng.uniform(0.4, 0.7)])),
        )

    def _pools(self, rng: np.random.Generator) -> None:
        self.cars = [car(rng) for _ in range(8)]
        winter = float(rng.choice([0, 0, rng.random()]))
        sizes = rng.uniform([3.5, 5], [7, 10.5], (5, 2)).tolist()
        self.trees = [(tree(rng, w, h, bool(rng.random() < winter)), w, h) for w, h in sizes]
        self.people = [person(int(rng.integers(1 << 30))) for _ in range(8)]
        self.hedges = [hedge(rng, 8, h) for h in (1.2, 1.8, 4.0)]
        self.fences = [fence(rng, 8, float(rng.uniform(1, 1.9))) for _ in range(2)]
        stones = [(150, 92, 72), (150, 146, 138), (112, 106, 100), (190, 180, 164)]
        self.walls = [flat(rng, 8, 2, pick(rng, stones), ID["wall"], 0.25) for _ in range(2)]
        self.roofs = [flat(rng, 8, 4, pick(rng, [(120, 66, 52), (78, 76, 78), (96, 84, 74)]), ID["building"], 0.3)
                      for _ in range(2)]  # fmt: skip
        self.lamp_height = float(rng.uniform(4, 8))
        self.lamp = lamp(rng, self.lamp_height)
        self.bollard = flat(rng, 0.2, 1, pick(rng, METALS), ID["pole"])
        self.cabinet = flat(rng, 0.9, 1.2, pick(rng, METALS), ID["wall"])

    def _car(self, rng: np.random.Generator) -> Mesh:
        return self.cars[int(rng.integers(len(self.cars)))]

    def _vehicle(self, rng: np.random.Generator) -> Mesh:
        """A vehicle of the moving traffic."""
        odds = [0.5, 0.1, 0.1, 0.3] if self.has_tram else [0.72, 0.14, 0.14, 0]
        kind = int(rng.choice(4, p=odds))
        return self._car(rng) if kind == 0 else (truck, bus, tram)[kind - 1](rng)

    def _traffic(self, rng: np.random.Generator, seconds: float) -> list[Thing]:
        things, far = [], self.speed * seconds + VIEW
        pace, gap = float(rng.uniform(4, 13)), float(rng.uniform(10, 50))
        s = float(rng.uniform(5, 40))
        while s < far + pace * seconds:
            vehicle = self._vehicle(rng)
            s += vehicle.length
            things.append(Thing(s - vehicle.length / 2, -self.side * self.lane / 2, vehicle, yaw=np.pi, speed=-pace))
            s += float(rng.uniform(0.3, 2)) * gap
        ahead = float(rng.uniform(9, 70))
        while rng.random() < 0.8 and ahead < 120:
            vehicle = self._vehicle(rng)
            things.append(Thing(ahead + vehicle.length / 2, self.ego_t, vehicle, paced=True))
            ahead += vehicle.length + float(rng.uniform(10, 40))
        kerb = self.half - self.surface.parking - 0.7
        for s in np.arange(rng.uniform(6, 40), far, rng.uniform(25, 90)):
            motor, way = rng.random() < 0.45, int(rng.choice([-1, 1]))
            picture = two_wheeler(rng, motor, True, False)
            speed = way * float(rng.uniform(7, 10) if motor else rng.uniform(2.5, 5))
            start = s - speed * seconds * rng.uniform(0, 1)
            things.append(Thing(start, way * self.side * kerb, (picture,), 2.0, 1.9, speed=speed))
        for s in np.arange(rng.uniform(15, 60), far, rng.uniform(30, 90)):
            walk = 2 * (self.half + 1)
            pace = float(rng.uniform(0.9, 1.6))
            if rng.random() < 0.35:
                look, high = (two_wheeler(rng, rng.random() < 0.5, True, True),), 1.9
                things.append(Thing(s, -walk / 2, look, 2.0, high, drift=2 * pace, reach=walk))
            else:
                things.append(Thing(s, -walk / 2, self._person(rng), 1.0, 1.85, drift=pace, reach=walk))
        return things

    def _person(self, rng: np.random.Generator) -> tuple[Texture, ...]:
        return self.people[int(rng.integers(len(self.people)))]

    def heading(self, s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Direction of the street at ``s``, radians to the right of its mean."""
        return np.asarray(self.bend * np.sin(2 * np.pi * np.asarray(s) / self.period + self.phase))

    def ego(self, time: float) -> tuple[float, float, float]:
        """The camera at ``time`` seconds: s, t (metres) and yaw (radians to the right of the street)."""
        wander = 0.25 * float(np.sin(0.5 * time + self.phase))
        return self.speed * time, self.ego_t + wander, 0.012 * float(np.cos(0.5 * time + self.phase))

    def path(self, s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The street's middle line at ``s``: metres to the right and ahead on a flat map."""
        return np.interp(s, self._path[0], self._path[1]), np.interp(s, self._path[0], self._path[2])

    def blocks(self, ego: float) -> tuple[list[Block], Ground]:
        """The blocks that can be seen from ``ego`` metres along, and their ground in one piece."""
        first, last = int(np.floor((ego - 12) / BLOCK)), int(np.floor((ego + VIEW) / BLOCK))
        visible = range(first, last + 1)
        if list(visible) != list(self._blocks):
            self._blocks = {i: self._blocks[i] if i in self._blocks else self._block(i) for i in visible}
            made = list(self._blocks.values())
            self._ground = join(first * BLOCK, [block.color for block in made], [block.label for block in made])
        return list(self._blocks.values()), self._ground

    def _block(self, index: int) -> Block:
        rng = np.random.default_rng([self.seed, 1, index + 1000])
        start, junction = index * BLOCK, None
        if rng.random() < self.fullness["junction"]:
            junction = (8.0, 8.0 + float(rng.uniform(6, 10)))
        panels: list[Panel] = []
        things: list[Thing] = []
        shadows: list[Shadow] = []
        for number in range(2):
            for span in self._plots(rng, junction):
                self._plot(rng, start, span, number, panels, things, shadows)
            self._furnish(rng, start, number, junction, things)
        for thing in things:
            if not isinstance(thing.look, Mesh) and thing.height > 3:
                reach = self.lean * thing.height
                s, t, wide = thing.s - start, thing.t, thing.width / 4
                shadows.append([(s - 0.1, t), (s + 0.1, t), (s + wide, t + reach * 0.6), (s + wide, t + reach),
                                (s - wide, t + reach), (s - wide, t + reach * 0.6)])  # fmt: skip
        color, label = paint_block(rng, self.surface, start, junction, shadows)
        return Block(color, label, tuple(panels), tuple(things))

    def _plots(self, rng: np.random.Generator, junction: tuple[float, float] | None) -> list[tuple[float, float]]:
        plots = []
        for low, high in ((0.0, junction[0]), (junction[1], BLOCK)) if junction else ((0.0, BLOCK),):
            cuts = np.linspace(low, high, max(1, round((high - low) / rng.uniform(7, 14))) + 1)
            plots += [(a, b) for a, b in itertools.pairwise(cuts.tolist())]
        return plots

    def _plot(self, rng: np.random.Generator, start: float, span: tuple[float, float], number: int,
              panels: list[Panel], things: list[Thing], shadows: list[Shadow]) -> None:  # fmt: skip
        """Add one plot of land: a house, a park or a yard, and the fence, wall or hedge at the sidewalk."""
        s0, s1, side = start + span[0], start + span[1], 2 * number - 1
        kind, line, front = int(rng.choice(3, p=self.lots)), self.lines[number], self.fronts[number]
        if kind == 0:
            self._house(rng, s0 + float(rng.choice([0, 0, rng.uniform(0.5, 3)])), s1, side, line, panels)
            high = float(panels[-1].corners[0, 2])
            if side * self.lean < 0:
                t0, t1 = side * line, side * line + self.lean * high
                shadows.append([(span[0], t0), (span[1], t0), (span[1], t1), (span[0], t1)])
        else:
            far = side * (line + 6)
            panels.append(_upright((s0, far), (s1, far), float(rng.uniform(2.5, 6)), self.hedges[2]))
            for _ in range(int(rng.integers(1, 4))):
                self._tree(rng, float(rng.uniform(s0, s1)), side * float(rng.uniform(line + 1, line + 5)), things)
        if kind == 2 or (front < line and rng.random() < self.fullness["front"]):
            high = float(rng.uniform(0.8, 1.5) if kind == 0 else rng.uniform(1.2, 2.8))
            choices = (*self.walls, *self.fences) if kind == 2 else (*self.hedges[:2], *self.fences, *self.walls)
            look = choices[int(rng.integers(len(choices)))]
            panels.append(_upright((s0, side * front), (s1 - 0.3, side * front), high, look))

    def _house(
        self, rng: np.random.Generator, s0: float, s1: float, side: int, line: float, panels: list[Panel]
    ) -> None:
        deep, high = 9.0, max(2.7, float(rng.normal(self.storeys, 0.8)) * 3)
        t0, t1, middle = side * line, side * (line + deep), side * (line + deep / 2)
        wall = house_color(rng)
        if rng.random() < 0.6:
            rise = float(rng.uniform(1.5, 3.5))
            tiles = self.roofs[int(rng.integers(len(self.roofs)))]
            ridge = np.array([(s0, middle, high + rise), (s1, middle, high + rise), (s0, t0, high)])
            panels.append(Panel(ridge, tiles))
            panels.append(_upright((s0, t1), (s0, t0), high + rise, gable(rng, deep, rise, wall), high))
        panels.append(_upright((s0, t1), (s0, t0), high, facade(rng, deep, high, wall, bool(rng.random() < 0.4))))
        panels.append(_upright((s0, t0), (s1, t0), high, facade(rng, s1 - s0, high, wall)))

    def _tree(self, rng: np.random.Generator, s: float, t: float, things: list[Thing]) -> None:
        texture, width, height = self.trees[int(rng.integers(len(self.trees)))]
        size = float(rng.uniform(0.8, 1.2))
        things.append(Thing(s, t, (texture,), width * size, height * size))

    def _furnish(self, rng: np.random.Generator, start: float, number: int, junction: tuple[float, float] | None,
                 things: list[Thing]) -> None:  # fmt: skip
        """Add posts, signs, people, trees and parked vehicles along one kerb of a block."""
        side, fullness = 2 * number - 1, self.fullness
        kerb, line = side * (self.half + 0.45), self.lines[number]
        blocked = (junction[0] - 5, junction[1] + 3) if junction else (-1.0, -1.0)

        def spots(step: float) -> list[float]:
            along = np.arange(rng.uniform(0, step), BLOCK, step)
            return [start + float(s) for s in along if not blocked[0] < s < blocked[1]]

        if number == start // BLOCK % 2 or self.half > 7:
            things += [Thing(s, kerb, (self.lamp,), 2.0, self.lamp_height) for s in spots(22)]
        things += [Thing(s, kerb, (sign(rng),), 1.0, 3.0) for s in spots(22)]
        if junction:
            things.append(Thing(start + junction[0] - 1, kerb, (traffic_light(rng),), 0.6, 3.4))
            if rng.random() < 0.5:
                yaw = side * np.pi / 2
                things.append(Thing(start + sum(junction) / 2, side * (line + 3), self._car(rng), yaw=yaw))
        if rng.random() < 0.25:
            things += [Thing(s, kerb, (self.bollard,), 0.16, 1.0) for s in spots(2.5)]
        if rng.random() < 0.3:
            things += [Thing(s, side * (self.half + 0.9), (self.cabinet,), 0.9, 1.2) for s in spots(40)]
        if self.half + 2.5 < line and rng.random() < fullness["trees"]:
            for s in spots(float(rng.uniform(8, 16))):
                self._tree(rng, s, side * (self.half + 0.9), things)
        for s in spots(30):
            parked = two_wheeler(rng, rng.random() < 0.45, False, rng.random() < 0.6)
            things.append(Thing(s, side * (self.half + float(rng.uniform(0.4, 1.2))), (parked,), 2.0, 1.9))
        self._people(rng, start, side, line, things)
        if self.surface.parking:
            for s in spots(float(rng.uniform(5.6, 7))):
                if rng.random() < fullness["parked"]:
                    look = truck(rng) if rng.random() < 0.04 else self._car(rng)
                    yaw = 0.0 if side == self.side else np.pi
                    things.append(Thing(s, side * (self.half - self.surface.parking / 2 + 0.1), look, yaw=yaw))

    def _people(self, rng: np.random.Generator, start: float, side: int, line: float, things: list[Thing]) -> None:
        """Add people who stand or walk between one kerb and the houses, alone or in groups of up to three."""
        for _ in range(int(rng.poisson(self.fullness["people"]))):
            s, t = (
                start + float(rng.uniform(0, BLOCK)),
                side * float(rng.uniform(self.half + 0.7, max(line, self.half + 1.5))),
            )
            walk = float(rng.choice([0, 1, 1])) * float(rng.uniform(0.8, 1.6)) * float(rng.choice([-1, 1]))
            for i in range(int(rng.integers(1, 4))):
                apart = t + side * 0.55 * i
                things.append(
                    Thing(s + 0.2 * i, apart, self._person(rng), 1.0, 1.85, speed=walk, reach=25.0 if walk else 0)
                )


def _upright(
    left: tuple[float, float], right: tuple[float, float], high: float, texture: Texture, low: float = 0
) -> Panel:
    """An upright panel between two points (s, t) of the ground; it reaches from ``low`` to ``high`` metres."""
    return Panel(np.array([(*left, high), (*right, high), (*left, low)], np.float64), texture)

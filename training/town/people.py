"""The synthetic town's people, on foot, on bicycles and on motorcycles, as flat pictures."""

from __future__ import annotations

import numpy as np

from training.town.shapes import ID, METALS, PAINTS, TYRE, Canvas, Color, Texture, pick, shade

CLOTHES: tuple[Color, ...] = (
    (30, 32, 40), (52, 60, 84), (122, 36, 36), (188, 186, 180), (66, 82, 60), (96, 76, 58),
    (40, 74, 120), (150, 130, 100), (196, 150, 40), (84, 84, 88), (220, 100, 30), (20, 20, 22),
)  # fmt: skip
SKINS: tuple[Color, ...] = ((222, 184, 156), (190, 140, 110), (130, 90, 66), (84, 58, 44))


def body(
    canvas: Canvas, rng: np.random.Generator, x: float, stride: float, label: int, coat: Color, legs: Color
) -> None:
    """A standing or walking human whose feet are at (x, 0), 1.75 m tall; ``stride`` -1..1 swings the legs."""
    swing = 0.2 * stride
    skin, hair = pick(rng, SKINS, 8), pick(rng, [(40, 30, 24), (90, 66, 40), (150, 140, 130), (20, 18, 18)], 6)
    for side, tone in ((-1, 0.8), (1, 1.0)):
        foot = x + side * (swing + 0.06)
        canvas.line([(x + 0.05 * side, 0.9), (x + 0.6 * side * (swing + 0.09), 0.48), (foot, 0.07)], 0.13,
                    shade(legs, tone), label)  # fmt: skip
        canvas.line([(foot - 0.03, 0.05), (foot + 0.1, 0.05)], 0.09, TYRE, label)
        hand = x + side * (0.24 - 0.5 * swing)
        canvas.line([(x + 0.2 * side, 1.4), (hand, 1.1), (hand - 0.3 * side * swing, 0.85)], 0.11,
                    shade(coat, 0.85), label)  # fmt: skip
    outline = [(-0.2, 0.82), (0.2, 0.82), (0.24, 1.42), (0.1, 1.5), (-0.1, 1.5), (-0.24, 1.42)]
    canvas.polygon([(x + dx, y) for dx, y in outline], coat, label)
    canvas.disc(x, 1.63, 0.11, 0.14, skin, label)
    canvas.polygon([(x - 0.12, 1.64), (x - 0.1, 1.76), (x, 1.8), (x + 0.1, 1.76), (x + 0.12, 1.66)], hair, label)


def person(seed: int) -> tuple[Texture, ...]:
    """A pedestrian, 1.0 × 1.85 m: one texture for each phase of a step; in the first the person stands."""
    phases = []
    for stride in (0.0, 0.6, 1.0, 0.5):
        rng = np.random.default_rng(seed)  # the same clothes in every phase
        canvas = Canvas(1.0, 1.85, 64)
        coat, legs = pick(rng, CLOTHES), pick(rng, CLOTHES)
        long_coat, bag = rng.random() < 0.3, rng.random() < 0.4
        body(canvas, rng, 0.5, stride, ID["person"], coat, legs)
        if long_coat:
            canvas.polygon([(0.3, 0.85), (0.7, 0.85), (0.76, 0.5), (0.24, 0.5)], shade(coat, 0.9), ID["person"])
        if bag:
            canvas.box(0.62, 0.75, 0.84, 1.02, pick(rng, CLOTHES), ID["person"])
        phases.append(canvas.texture(rng, 0.05))
    return tuple(phases)


def two_wheeler(rng: np.random.Generator, motor: bool, ridden: bool, sideways: bool) -> Texture:
    """A bicycle or a motorcycle (``motor``), 2.0 × 1.9 m, seen from its side or its end, with a rider or parked."""
    canvas, label, human = Canvas(2.0, 1.9, 56), ID["motorcycle" if motor else "bicycle"], ID["rider"]
    paint, coat, legs = pick(rng, PAINTS, 20), pick(rng, CLOTHES), pick(rng, CLOTHES)
    seat = 0.85
    if sideways:
        for x in (0.42, 1.52):
            canvas.disc(x, 0.34, 0.34, 0.34, TYRE, label)
            canvas.disc(x, 0.34, 0.26, 0.26, (112, 112, 114), label)
        spine = [(0.42, 0.34), (0.72, 0.8), (1.3, 0.78), (1.52, 0.34), (1.28, 0.98), (1.42, 1.04)]
        canvas.line(spine, 0.16 if motor else 0.06, paint, label)
        canvas.line([(0.72, 0.8), (0.9, 0.34), (1.3, 0.78)], 0.2 if motor else 0.06, shade(paint, 0.8), label)
        canvas.line([(0.42, 0.34), (0.9, 0.34)], 0.08, METALS[0], label)
        canvas.box(0.5, seat - 0.06, 0.9, seat + 0.04, TYRE, label)
        if motor:
            canvas.polygon([(0.72, 0.3), (1.24, 0.3), (1.34, 0.85), (1.0, 0.95), (0.8, 0.8)], shade(paint, 0.7), label)
        if ridden:
            canvas.line([(0.72, seat), (1.1, 0.72), (0.96, 0.28)], 0.16, legs, human)
            canvas.line([(0.74, seat), (0.98, 1.38)], 0.36, coat, human)
            canvas.line([(1.0, 1.34), (1.2, 1.12), (1.4, 1.06)], 0.11, shade(coat, 0.85), human)
    else:
        wide = 0.3 if motor else 0.05
        canvas.disc(1.0, 0.33, 0.1 if motor else 0.06, 0.33, TYRE, label)
        canvas.line([(1.0, 0.5), (1.0, seat)], max(0.06, wide), paint, label)
        canvas.line([(0.68, 1.02), (1.32, 1.02)], 0.07, METALS[0], label)
        if motor:
            canvas.polygon([(0.8, 0.45), (1.2, 0.45), (1.26, 0.95), (0.74, 0.95)], paint, label)
        if ridden:
            for side in (-1, 1):
                canvas.line(
                    [(1 + 0.12 * side, seat), (1 + 0.22 * side, 0.55), (1 + 0.15 * side, 0.2)], 0.14, legs, human
                )
                canvas.line([(1 + 0.2 * side, 1.36), (1 + 0.3 * side, 1.1)], 0.11, shade(coat, 0.85), human)
            canvas.polygon([(0.82, 0.8), (1.18, 0.8), (1.24, 1.38), (0.76, 1.38)], coat, human)
    if ridden:
        x = 1.06 if sideways else 1.0
        canvas.disc(x, 1.58, 0.12, 0.14, pick(rng, SKINS, 8), human)
        canvas.polygon([(x - 0.15, 1.58), (x - 0.12, 1.74), (x, 1.79), (x + 0.12, 1.74), (x + 0.15, 1.6)],
                       pick(rng, PAINTS, 25), human)  # fmt: skip
    return canvas.texture(rng, 0.05)

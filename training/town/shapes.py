"""The shapes of the synthetic town: textures for flat panels, and meshes of vehicles.

Every shape is drawn once and reused in all frames; one call draws both its colour and its label. Lengths are in metres,
colours are RGB 0..255, labels are Cityscapes label ids; where a texture's label is 0 the texture is transparent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import LABELS

ID = {label.name: label.id for label in LABELS}
"""Label id by class name."""

Color = tuple[float, float, float]
GLASS: Color = (46, 54, 62)
TYRE: Color = (28, 28, 30)
METALS: tuple[Color, ...] = ((70, 72, 74), (120, 124, 126), (52, 66, 58), (150, 150, 146), (88, 84, 76))
PAINTS: tuple[Color, ...] = (
    (18, 18, 20), (186, 188, 190), (228, 228, 226), (98, 102, 106), (136, 22, 24), (26, 44, 96),
    (60, 88, 130), (32, 66, 48), (150, 130, 96), (196, 60, 30), (210, 176, 40), (70, 74, 80),
)  # fmt: skip


@lru_cache(maxsize=1)
def noise() -> NDArray[np.float32]:
    """Fractal noise, float32[1024, 1024], mean 0, standard deviation 1; shared by all drives."""
    rng = np.random.default_rng(1)
    total = np.zeros((1024, 1024), np.float32)
    for cells in (8, 32, 128, 512, 1024):
        grid = rng.standard_normal((cells, cells), np.float32)
        total += np.asarray(cv2.resize(grid, (1024, 1024), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def grain(rng: np.random.Generator, height: int, width: int, strength: float) -> NDArray[np.float32]:
    """A random window of the noise as factors about 1, float32[height, width, 3], the same in each channel."""
    row, col = (int(rng.integers(0, 1024 - min(1023, size))) for size in (height, width))
    window = noise()[row : row + height, col : col + width]
    if window.shape != (height, width):
        window = np.asarray(cv2.resize(window, (width, height)), np.float32)
    factors = np.clip(1 + np.float32(strength) * window, 0.2, 1.8)
    return np.asarray(cv2.merge((factors, factors, factors)), np.float32)  # numpy broadcasts a channel slowly


def pick(rng: np.random.Generator, colors: Sequence[Color], spread: float = 12) -> Color:
    """One of ``colors``, varied a little."""
    r, g, b = np.clip(np.asarray(colors[int(rng.integers(len(colors)))]) + rng.normal(0, spread, 3), 5, 245)
    return float(r), float(g), float(b)


def shade(color: Color, factor: float) -> Color:
    """``color`` darker (factor < 1) or lighter (factor > 1)."""
    r, g, b = (min(255.0, channel * factor) for channel in color)
    return r, g, b


@dataclass(frozen=True)
class Texture:
    """A picture and its label. ``label`` is uint8[h, w], 0 = transparent. ``levels`` are uint8 pictures at full size,
    half size and so on: RGB, or RGB and opacity. Railings and bare trees need the opacity, since their gaps show what
    is behind them, but are labelled as part of them."""

    label: NDArray[np.uint8]
    levels: tuple[NDArray[np.uint8], ...]


class Canvas:
    """A texture while it is drawn: x is metres to the right of the left edge, y metres above the ground."""

    def __init__(self, width: float, height: float, scale: float, color: Color = (0, 0, 0), label: int = 0) -> None:
        self.scale, self.height = scale, height
        shape = max(2, round(height * scale)), max(2, round(width * scale))
        self.image: NDArray[np.uint8] = np.empty((*shape, 3), np.uint8)
        self.image[:] = color
        self.label: NDArray[np.uint8] = np.full(shape, label, np.uint8)
        self.veil: NDArray[np.uint8] = np.zeros(shape, np.uint8)

    def _pixels(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        sixteenths = [(x * self.scale * 16, (self.height - y) * self.scale * 16) for x, y in points]
        return np.asarray(np.round(sixteenths), np.int32)

    def polygon(self, points: Sequence[tuple[float, float]], color: Color, label: int) -> None:
        pixels = [self._pixels(points)]
        cv2.fillPoly(self.image, pixels, color, shift=4)
        cv2.fillPoly(self.label, pixels, (label,), shift=4)

    def box(self, x0: float, y0: float, x1: float, y1: float, color: Color, label: int) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, label)

    def disc(self, x: float, y: float, rx: float, ry: float, color: Color, label: int) -> None:
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        self.polygon(list(zip(x + rx * np.cos(angle), y + ry * np.sin(angle), strict=True)), color, label)

    def line(self, points: Sequence[tuple[float, float]], width: float, color: Color, label: int) -> None:
        pixels, thickness = [self._pixels(points)], max(1, round(width * self.scale))
        cv2.polylines(self.image, pixels, False, color, thickness, shift=4)
        cv2.polylines(self.label, pixels, False, (label,), thickness, shift=4)

    def texture(self, rng: np.random.Generator, strength: float = 0.08) -> Texture:
        """The finished texture, with noise on it. The smaller levels are means over visible pixels only.

        Where ``veil`` has a label and nothing is drawn, the texture is transparent but has that label.
        """
        cover = (self.label > 0).astype(np.float32)[..., None]
        height, width = self.label.shape
        color = np.clip(self.image * grain(rng, height, width, strength), 0, 255) * cover
        levels = []
        while True:
            level = np.clip(color / np.maximum(cover, 1e-3), 0, 255)
            levels.append((np.dstack([level, cover * 255]) if self.veil.any() else level).astype(np.uint8))
            size = color.shape[1] // 2, color.shape[0] // 2
            if min(size) < 4:
                return Texture(np.where(self.label > 0, self.label, self.veil), tuple(levels))
            color = np.asarray(cv2.resize(color, size, interpolation=cv2.INTER_AREA), np.float32)
            cover = np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), np.float32)[..., None]


def house_color(rng: np.random.Generator) -> Color:
    """Brick, plaster, stone or concrete."""
    walls = [(150, 92, 72), (176, 156, 130), (200, 194, 182), (120, 74, 60), (142, 140, 136), (214, 200, 160),
             (168, 172, 176), (110, 104, 98), (182, 130, 110)]  # fmt: skip
    return pick(rng, walls, 14)


def gable(rng: np.random.Generator, width: float, height: float, wall: Color) -> Texture:
    """The triangle of wall under a pitched roof."""
    canvas = Canvas(width, height, 20)
    canvas.polygon([(0, 0), (width, 0), (width / 2, height)], wall, ID["building"])
    return canvas.texture(rng, 0.06)


def facade(rng: np.random.Generator, width: float, height: float, wall: Color, windows: bool = True) -> Texture:
    """A house front with rows of windows, and doors or a shop on the ground floor; a bare wall without ``windows``."""
    building = ID["building"]
    canvas = Canvas(width, height, 20, wall, building)
    for row in range(0, canvas.label.shape[0], 4):  # courses of brick or boards
        canvas.image[row] = shade(wall, 0.9)
    if not windows:
        return canvas.texture(rng, 0.07)
    storey, frame = float(rng.uniform(2.6, 3.4)), pick(rng, [(226, 224, 220), (90, 70, 60), (60, 64, 70)])
    glass, step = pick(rng, [(46, 54, 62), (80, 92, 104), (120, 136, 150)]), float(rng.uniform(1.6, 3.0))
    shop, tall = rng.random() < 0.4, float(rng.uniform(0.45, 0.62)) * storey
    columns = max(1, int(width / step))
    for floor in range(max(1, int(height / storey))):
        sill = floor * storey + 0.28 * storey
        if floor == 0 and shop:
            sign = pick(rng, PAINTS, 25)
            canvas.box(0.3, 0.4, width - 0.3, 0.75 * storey, glass, building)
            canvas.box(0.2, 0.76 * storey, width - 0.2, 0.96 * storey, sign, building)
            for x in np.arange(0.3, width, 2.0):
                canvas.line([(x, 0), (x, 0.75 * storey)], 0.14, frame, building)
            continue
        door = int(rng.integers(columns)) if floor == 0 else -1
        for column in range(columns):
            x = (column + 0.5) * width / columns
            if column == door:
                canvas.box(x - 0.55, 0, x + 0.55, 2.1, pick(rng, PAINTS), building)
                continue
            half, pane = 0.28 * width / columns, shade(glass, float(rng.uniform(0.6, 1.5)))
            canvas.box(x - half - 0.1, sill - 0.12, x + half + 0.1, sill + tall + 0.1, frame, building)
            canvas.box(x - half, sill, x + half, sill + tall, pane, building)
            canvas.line([(x, sill), (x, sill + tall)], 0.06, frame, building)
    return canvas.texture(rng, 0.06)


def flat(rng: np.random.Generator, width: float, height: float, color: Color, label: int, seam: float = 0) -> Texture:
    """A plain surface; ``seam`` > 0 draws courses that far apart (stones of a wall, tiles of a roof)."""
    canvas = Canvas(width, height, 20, color, label)
    for y in np.arange(seam, height, seam) if seam else ():
        canvas.line([(0, y), (width, y)], 0.05, shade(color, 0.75), label)
        for x in np.arange(float(rng.uniform(0, 0.5)), width, 3 * seam):
            canvas.line([(x, y), (x, y - seam)], 0.05, shade(color, 0.8), label)
    return canvas.texture(rng, 0.1)


def fence(rng: np.random.Generator, width: float, height: float) -> Texture:
    """Boards, or a railing."""
    label, canvas = ID["fence"], Canvas(width, height, 32)
    boards = rng.random() < 0.4
    color = pick(rng, [(120, 92, 66), (90, 76, 62), (150, 140, 124)] if boards else METALS)
    if boards:
        canvas.box(0, 0, width, height, shade(color, 0.6), label)
    canvas.veil[:] = 0 if boards else label
    step, bar = (0.16, 0.14) if boards else (float(rng.uniform(0.2, 0.3)), 0.07)
    for x in np.arange(0.05, width, step):
        canvas.line([(x, 0), (x, height)], bar, shade(color, float(rng.uniform(0.85, 1.15))), label)
    for y in (0.15, 0.5 * height, height - 0.08):
        canvas.line([(0, y), (width, y)], 0.09, shade(color, 0.9), label)
    for x in np.arange(0.08, width, 2.4):
        canvas.line([(x, 0), (x, height)], 0.16, shade(color, 0.8), label)
    return canvas.texture(rng)


def foliage(
    rng: np.random.Generator, canvas: Canvas, blobs: Sequence[tuple[float, float, float]], color: Color
) -> None:
    """Draw leaves inside the discs (x, y, radius): ragged at the edge, brighter on top, with gaps."""
    height, width = canvas.label.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / canvas.scale
    y = np.float32(canvas.height) - y
    cover, light = np.full((height, width), -9, np.float32), np.zeros((height, width), np.float32)
    for bx, by, radius in blobs:
        inside = 1 - np.hypot(x - bx, y - by) / radius
        light = np.where(inside > cover, (y - by) / radius, light)
        cover = np.maximum(cover, inside)
    rough = grain(rng, height, width, 1.0)[..., 0] - 1
    leaves = cover + 0.22 * rough > 0.05
    leaves[:2], leaves[:, :1], leaves[:, -1:] = False, False, False
    tone = np.clip(0.85 + 0.25 * light + 0.32 * rough, 0.25, 1.6)[..., None]
    canvas.image[leaves] = np.clip(np.asarray(color) * tone, 0, 255)[leaves]
    canvas.label[leaves] = ID["vegetation"]


GREENS: tuple[Color, ...] = ((74, 96, 44), (58, 82, 40), (98, 112, 52), (88, 92, 60), (120, 108, 48), (46, 66, 42))


def tree(rng: np.random.Generator, width: float, height: float, bare: bool) -> Texture:
    """A trunk under a crown of several blobs, or ``bare`` branches; some are conifers."""
    canvas, bark = Canvas(width, height, 26), pick(rng, [(74, 60, 48), (96, 88, 78), (60, 52, 44)], 6)
    label, middle, stem = ID["vegetation"], width / 2, float(rng.uniform(0.22, 0.4)) * height
    canvas.line([(middle, 0), (middle + 0.1, stem + 0.2 * height)], 0.04 * height, bark, label)
    for angle in (-0.5, 0.4):
        canvas.line([(middle, stem), (middle + angle * width / 2, 0.7 * height)], 0.02 * height, bark, label)
    if bare:
        _branch(rng, canvas, (middle, stem), 0.0, 0.3 * (height - stem), 0.03 * height, shade(bark, 0.9))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(0.7 * canvas.scale),) * 2)
        canvas.veil[:] = cv2.morphologyEx(canvas.label, cv2.MORPH_CLOSE, disc)
        return canvas.texture(rng)
    if rng.random() < 0.2:
        blobs = [(middle, height * (0.2 + 0.13 * i), width * (0.46 - 0.07 * i)) for i in range(6)]
    else:
        count, crown = int(rng.integers(6, 12)), (height + stem) / 2
        angles, radius = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
        xs, ys = middle + 0.28 * width * radius * np.cos(angles), crown + 0.24 * height * radius * np.sin(angles)
        blobs = list(zip(xs, ys, rng.uniform(0.16, 0.28, count) * width, strict=True))
    foliage(rng, canvas, blobs, pick(rng, GREENS, 8))
    return canvas.texture(rng)


def _branch(
    rng: np.random.Generator,
    canvas: Canvas,
    foot: tuple[float, float],
    lean: float,
    long: float,
    thick: float,
    color: Color,
) -> None:
    """Draw a branch that starts at ``foot``, ``lean`` radians from upright, and its twigs."""
    tip = foot[0] + long * float(np.sin(lean)), foot[1] + long * float(np.cos(lean))
    canvas.line([foot, tip], thick, color, ID["vegetation"])
    if long > 0.32:
        for turn in rng.normal([-0.5, 0.05, 0.5], 0.2):
            _branch(
                rng, canvas, tip, 0.95 * lean + float(turn), long * float(rng.uniform(0.6, 0.8)), 0.55 * thick, color
            )


def hedge(rng: np.random.Generator, width: float, height: float) -> Texture:
    """A hedge that fills its panel; its top is ragged."""
    canvas, radius = Canvas(width, height, 24), height * 0.75
    blobs = [(float(x), height * 0.35, radius) for x in np.arange(0, width + 0.5, 0.5)]
    blobs += [(float(x), height * 0.05, radius) for x in np.arange(0, width + 0.5, 0.5)]
    foliage(rng, canvas, blobs, pick(rng, GREENS, 8))
    canvas.label[-3:] = ID["vegetation"]
    return canvas.texture(rng)


def lamp(rng: np.random.Generator, height: float) -> Texture:
    """A street lamp in a texture of 2 m width, with the post in the middle."""
    canvas, color, label = Canvas(2.0, height, 30), pick(rng, METALS), ID["pole"]
    canvas.line([(1, 0), (1, height - 0.3), (1.3, height - 0.12), (1.9, height - 0.1)], 0.18, color, label)
    canvas.box(0.88, 0, 1.12, 1.2, color, label)
    canvas.box(1.5, height - 0.2, 1.95, height - 0.05, shade(color, 1.3), label)
    return canvas.texture(rng)


def traffic_light(rng: np.random.Generator) -> Texture:
    """A signal head on its post, 0.6 × 3.4 m."""
    canvas, pole, head, lit = Canvas(0.6, 3.4, 60), ID["pole"], ID["traffic light"], int(rng.integers(3))
    canvas.box(0.24, 0, 0.36, 3.0, pick(rng, METALS), pole)
    canvas.box(0.1, 2.4, 0.5, 3.38, (24, 24, 26), head)
    for i, color in enumerate([(40, 220, 120), (240, 170, 40), (240, 40, 30)]):
        tone = 1.0 if i == lit else 0.3
        canvas.disc(0.3, 2.58 + 0.31 * i, 0.11, 0.11, shade(color, tone), head)
    return canvas.texture(rng, 0.03)


def sign(rng: np.random.Generator) -> Texture:
    """A traffic sign on its post, 1 × 3 m: a disc, a triangle, a plate or a diamond."""
    canvas, label, kind = Canvas(1.0, 3.0, 60), ID["traffic sign"], int(rng.integers(6))
    canvas.box(0.45, 0, 0.55, 2.5, METALS[1], ID["pole"])
    red, blue, white = (186, 24, 28), (24, 72, 160), (232, 232, 228)
    if kind <= 1:
        canvas.disc(0.5, 2.5, 0.38, 0.38, red, label)
        canvas.disc(0.5, 2.5, 0.28, 0.28, white if kind else blue, label)
        canvas.line([(0.36, 2.5), (0.64, 2.5)], 0.12, (30, 30, 30) if kind else red, label)
    elif kind == 2:
        canvas.polygon([(0.06, 2.12), (0.94, 2.12), (0.5, 2.9)], red, label)
        canvas.polygon([(0.22, 2.22), (0.78, 2.22), (0.5, 2.72)], white, label)
        canvas.line([(0.5, 2.28), (0.5, 2.55)], 0.08, (30, 30, 30), label)
    elif kind == 3:
        canvas.disc(0.5, 2.5, 0.36, 0.36, blue, label)
        canvas.line([(0.36, 2.36), (0.62, 2.62)], 0.1, white, label)
    elif kind == 4:
        canvas.box(0.08, 2.05, 0.92, 2.9, pick(rng, [blue, (20, 96, 60), white]), label)
        for y in (2.25, 2.45, 2.65):
            canvas.line([(0.2, y), (0.75, y)], 0.06, shade(white, 0.9), label)
    else:
        canvas.polygon([(0.5, 2.1), (0.92, 2.5), (0.5, 2.92), (0.08, 2.5)], white, label)
        canvas.polygon([(0.5, 2.22), (0.8, 2.5), (0.5, 2.8), (0.2, 2.5)], (226, 180, 30), label)
    return canvas.texture(rng, 0.03)

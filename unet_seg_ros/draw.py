"""Pictures for people: colour masks, overlays, contact sheets, legends. All are H×W×3 uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID

Array = NDArray[np.uint8]

GAP = 4
BACKGROUND = (24, 24, 24)
INK = (235, 235, 235)
OUTLINE = (120, 120, 120)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def colorize(mask: Array, palette: Array) -> Array:
    """Colour of each pixel's class: ``palette[mask]`` for an H×W uint8 mask and a uint8[256, 3] RGB palette."""
    return cast(Array, cv2.applyColorMap(mask, palette.reshape(256, 1, 3)))  # three times faster than indexing


def overlay(image: Array, mask: Array, palette: Array, opacity: float = 0.5) -> Array:
    """Blend the H×W×3 image with the colours of its classes; ``opacity`` 0..1 is the colours' share. A void pixel shows
    only the image.

    ``mask`` and ``palette`` are as in ``colorize``. Raises ValueError if image and mask differ in size.
    """
    if image.shape != (*mask.shape, 3):
        raise ValueError(f"the image is {image.shape}, the mask {mask.shape} (height, width)")
    blend = cv2.addWeighted(image, 1 - opacity, colorize(mask, palette), opacity, 0)
    return cast(Array, cv2.copyTo(image, (mask == VOID).view(np.uint8), blend))


def contact_sheet(images: Sequence[Array], columns: int, width: int) -> Array:
    """One picture, ``width`` pixels wide, of several H×W×3 images of any size, in rows of ``columns`` tiles.

    All tiles have the aspect ratio of the first image; the other images are scaled to fit and get bars at their sides.
    Raises ValueError if there are no images or a tile would be narrower than a pixel.
    """
    tile_width = (width - GAP * (columns + 1)) // columns
    if not images or tile_width < 1:
        raise ValueError(f"{len(images)} images in {columns} columns do not make a sheet of {width} pixels")
    tile_height = max(1, round(tile_width * images[0].shape[0] / images[0].shape[1]))
    rows = -(-len(images) // columns)
    sheet = np.full((GAP + rows * (tile_height + GAP), width, 3), BACKGROUND, np.uint8)
    left = (width - columns * (tile_width + GAP) + GAP) // 2
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        # half a pixel more, so that rounding gives no bars to an image with the tile's aspect ratio
        scale = min((tile_height + 0.5) / image.shape[0], tile_width / image.shape[1])
        h, w = min(max(1, round(image.shape[0] * scale)), tile_height), max(1, round(image.shape[1] * scale))
        y = GAP + row * (tile_height + GAP) + (tile_height - h) // 2
        x = left + column * (tile_width + GAP) + (tile_width - w) // 2
        sheet[y : y + h, x : x + w] = cv2.resize(
            image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
    return sheet


def legend(names: Sequence[str], colors: Sequence[tuple[int, int, int]], width: int) -> Array:
    """A picture, ``width`` pixels wide, that shows each name beside its RGB colour, in as many rows as needed.

    Raises ValueError if there are no names, or not one colour for each.
    """
    if not names or len(names) != len(colors):
        raise ValueError(f"{len(names)} names and {len(colors)} colours do not make a legend")
    scale = min(max(width / 1600, 0.4), 1.0)
    thickness = 2 if scale > 0.8 else 1
    line, swatch, margin = round(34 * scale), round(22 * scale), round(14 * scale)
    longest = max(cv2.getTextSize(name, FONT, scale, thickness)[0][0] for name in names)
    columns = max(1, (width - margin) // (swatch + longest + 2 * margin))
    rows = -(-len(names) // columns)
    columns = -(-len(names) // rows)  # rows of nearly equal length
    strip = np.full((rows * line + margin, width, 3), BACKGROUND, np.uint8)
    for index, (name, color) in enumerate(zip(names, colors, strict=True)):
        row, column = divmod(index, columns)
        x, y = margin + column * (width - margin) // columns, margin // 2 + row * line + (line - swatch) // 2
        cv2.rectangle(strip, (x, y), (x + swatch, y + swatch), color, cv2.FILLED)
        cv2.rectangle(strip, (x, y), (x + swatch, y + swatch), OUTLINE)  # an outline, so that dark colours are visible
        baseline = y + round(19 * scale)
        cv2.putText(strip, name, (x + swatch + margin // 2, baseline), FONT, scale, INK, thickness, cv2.LINE_AA)
    return strip

"""Pictures compared with indexing and float64 blending, and what a person must find in them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES, VOID, palette
from unet_seg_ros.draw import BACKGROUND, GAP, colorize, contact_sheet, legend, overlay

sizes = st.integers(1, 17)


def noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@given(height=sizes, width=sizes, seed=st.integers(0, 99))
def test_colorize_equals_indexing(height: int, width: int, seed: int) -> None:
    mask, colors = noise(height, width, seed=seed), noise(256, 3, seed=seed + 1)
    colored = colorize(mask, colors)
    assert colored.dtype == np.uint8
    assert (colored == colors[mask]).all()


def test_colorize_takes_views() -> None:
    mask = (noise(12, 20) % 19)[::2, ::-1]
    assert (colorize(mask, palette()) == palette()[np.ascontiguousarray(mask)]).all()


@given(height=sizes, width=sizes, opacity=st.floats(0, 1), seed=st.integers(0, 99))
def test_overlay_equals_a_blend_in_float64(height: int, width: int, opacity: float, seed: int) -> None:
    image, mask, colors = noise(height, width, 3, seed=seed), noise(height, width, seed=seed), noise(256, 3, seed=seed)
    mask[noise(height, width, seed=seed + 1) < 64] = VOID
    blended = overlay(image, mask, colors, opacity)
    exact = image * (1 - opacity) + colors[mask].astype(np.float64) * opacity
    exact[mask == VOID] = image[mask == VOID]
    assert blended.dtype == np.uint8
    assert np.abs(blended - exact).max() <= 0.51
    assert (blended[mask == VOID] == image[mask == VOID]).all()


def test_overlay_does_not_change_its_inputs() -> None:
    image, mask = noise(6, 8, 3), noise(6, 8)
    image.setflags(write=False)
    mask.setflags(write=False)
    assert (overlay(image, mask, palette(), 0) == image).all()
    assert (overlay(image[:, ::-1], mask[::-1], palette(), 0) == image[:, ::-1]).all()


@pytest.mark.parametrize("shape", [(6, 9, 3), (8, 6, 3), (6, 8)])
def test_an_overlay_of_another_size_is_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"the image is .*, the mask \(6, 8\)"):
        overlay(np.zeros(shape, np.uint8), np.zeros((6, 8), np.uint8), palette())


@pytest.mark.parametrize(("count", "columns", "width"), [(1, 1, 50), (6, 3, 200), (7, 3, 201), (2, 5, 199)])
def test_tiles_of_one_size_lie_on_a_grid(count: int, columns: int, width: int) -> None:
    images = [np.full((30, 60, 3), 100 + index, np.uint8) for index in range(count)]
    sheet = contact_sheet(images, columns, width)
    rows = -(-count // columns)
    tile_width = (width - GAP * (columns + 1)) // columns
    tile_height = round(tile_width / 2)
    assert sheet.shape == (rows * (tile_height + GAP) + GAP, width, 3)
    for index in range(count):
        y, x = np.nonzero((sheet == 100 + index).all(axis=-1))
        row, column = divmod(index, columns)
        assert len(y) == tile_height * tile_width
        assert y.min() == GAP + row * (tile_height + GAP)
        assert GAP <= x.min() - column * (tile_width + GAP) <= GAP + columns // 2
        assert (np.ptp(y) + 1, np.ptp(x) + 1) == (tile_height, tile_width)
    assert (sheet == BACKGROUND).all(axis=-1).sum() == sheet[..., 0].size - count * tile_height * tile_width


def test_images_of_other_proportions_get_bars() -> None:
    wide, tall = np.full((10, 80, 3), 200, np.uint8), np.full((90, 30, 3), 210, np.uint8)
    sheet = contact_sheet([np.full((40, 80, 3), 190, np.uint8), wide, tall], 3, 3 * 100 + 4 * GAP)
    for value, height, width in ((190, 50, 100), (200, 12, 100), (210, 50, 17)):
        y, x = np.nonzero((sheet == value).all(axis=-1))
        assert (np.ptp(y) + 1, np.ptp(x) + 1) == (height, width)
        assert len(y) == height * width
        assert abs(y.min() + y.max() - (sheet.shape[0] - 1)) <= 1  # centred


@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5),
    columns=st.integers(1, 4),
    width=st.integers(40, 90),
)
def test_any_sizes_make_a_sheet(shapes: list[tuple[int, int]], columns: int, width: int) -> None:
    sheet = contact_sheet([np.zeros((*shape, 3), np.uint8) for shape in shapes], columns, width)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1:] == (width, 3)
    assert (sheet == BACKGROUND).all(axis=-1)[:GAP].all()


def test_shrinking_does_not_alias() -> None:
    """Black and white columns become one grey."""
    stripes = np.zeros((300, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    tile = contact_sheet([stripes], 1, 150 + 2 * GAP)[GAP:-GAP, GAP:-GAP]
    assert np.abs(tile - 127.5).max() <= 1


@pytest.mark.parametrize(("count", "columns", "width"), [(0, 3, 100), (2, 3, 4 * GAP + 2)])
def test_an_impossible_sheet_is_refused(count: int, columns: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"{count} images in {columns} columns"):
        contact_sheet([np.zeros((4, 4, 3), np.uint8)] * count, columns, width)


@pytest.mark.parametrize("width", [320, 640, 1281, 1920, 4096])
def test_a_legend_shows_every_class(width: int) -> None:
    strip = legend(CLASS_NAMES, CLASS_COLORS, width)
    assert strip.shape[1:] == (width, 3)
    assert strip.shape[0] < width // 2
    for color in CLASS_COLORS:
        swatch = cv2.erode((strip == color).all(axis=-1).astype(np.uint8), np.ones((5, 5)))
        assert swatch.any()
        assert np.nonzero(swatch)[1].max() < width - 30  # space for a name
    background = (strip == BACKGROUND).all(axis=-1)
    assert background[:, -3:].all()  # no name is cut
    assert background[[0, -1]].all()


@pytest.mark.parametrize(("names", "colors"), [([], []), (["road"], []), (["road"], [(1, 2, 3), (4, 5, 6)])])
def test_an_impossible_legend_is_refused(names: Any, colors: Any) -> None:
    with pytest.raises(ValueError, match=f"{len(names)} names and {len(colors)} colours"):
        legend(names, colors, 100)

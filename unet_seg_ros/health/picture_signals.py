"""Signals of one frame's pixels: light, detail, noise, colour, blocks and damaged rows. They take about half a
millisecond for a frame: shares and percentiles are taken from some of the rows or columns only."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]
Signals = dict[str, float]

MOST_PIXELS = 480 * 360
"""A larger frame is shrunk to this many pixels before anything is measured."""
CELLS = (80, 60)
"""Columns and rows of the small image in which colours and blocks are measured and which ``history`` compares."""
BLOCKS = (20, 15)
"""Columns and rows of the blocks in which detail is measured."""
BLOCK = 16
"""Side in pixels of a block in which noise is measured."""
NOISE_SCALE = float(np.sqrt(np.pi / 2) / 6)
"""Factor from the mean absolute response of the second derivative along both axes to the standard deviation of the
noise."""
PER_LIGHT = (1 / (np.arange(256, dtype=np.float32) + 8)).astype(np.float32)
"""By the level of the strongest channel: the saturation for each grey level between the channels."""
WHITE = 245
"""A row with a higher mean grey level may be overexposed sky."""
EDGE = 12
"""Two neighbours that differ by more than this number of grey levels are an edge."""
CLOSE = np.ones((1, 5), np.uint8)
"""Pixels that are near an edge."""


def shrunk(frame: Array) -> Array:
    """The frame uint8[H, W, 3] shrunk to at most ``MOST_PIXELS`` pixels, with antialiasing and the same aspect
    ratio."""
    height, width = frame.shape[:2]
    while height * width >= 4 * MOST_PIXELS:  # halving is several times faster than any other factor
        height, width = height // 2, width // 2
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    share = (MOST_PIXELS / (height * width)) ** 0.5
    if share >= 1:
        return frame
    size = max(1, int(width * share)), max(1, int(height * share))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def cells(frame: Array) -> Array:
    """The mean colours of the frame in ``CELLS``, uint8[60, 80, 3]."""
    height, width = frame.shape[:2]
    if height >= 4 * CELLS[1] and width >= 4 * CELLS[0]:  # in two steps it is a third faster
        frame = np.asarray(cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(frame, CELLS, interpolation=cv2.INTER_AREA), np.uint8)


def picture_signals(frame: Array, small: Array) -> Signals:
    """All signals of a frame uint8[H, W, 3] RGB of at least 16×16 pixels and of its ``cells``."""
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
    half = _halved(grey)
    middle = _laplacian(half)
    return {
        **_light(grey),
        "detail": _level(_cumulated(middle[::2]), 0.98),
        "coarse_detail": _level(_cumulated(_laplacian(_halved(half))), 0.98),
        **_noise(grey),
        **_color(small),
        "zipper": _zipper(frame),
        **_blocks(middle, small),
        "steps": _steps(grey[::4]),
        **_rows(grey),
    }


def _halved(grey: Array) -> Array:
    size = max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cumulated(values: Array) -> NDArray[np.float64]:
    """The cumulative distribution of the values, float64[256]."""
    histogram = cv2.calcHist([values], [0], None, [256], [0, 256]).ravel()
    return np.asarray(np.cumsum(histogram) / values.size, np.float64)


def _level(cumulated: NDArray[np.float64], share: float) -> float:
    """The quantile of a ``_cumulated`` distribution."""
    return float(np.searchsorted(cumulated, share - 1e-9))


def _light(grey: Array) -> Signals:
    """``brightness``: mean grey level; ``contrast``: difference of the 99th and the 1st percentile; ``haze``: the 5th
    percentile, which is dark in a clear scene; ``white``: share of pixels with a grey level of at least 250."""
    shares = _cumulated(grey[::6])
    return {
        "brightness": float(cv2.mean(grey)[0]),
        "contrast": _level(shares, 0.99) - _level(shares, 0.01),
        "haze": _level(shares, 0.05),
        "white": 1 - float(shares[249]),
    }


def _laplacian(grey: Array) -> Array:
    return np.asarray(cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S)), np.uint8)


def _noise(grey: Array) -> Signals:
    """``noise`` and ``noise_floor``: standard deviation of the noise in grey levels, as the 25th and the 10th
    percentile over blocks. The filter does not respond to planes and to edges along the axes (Immerkær 1996)."""
    quarter = grey.shape[1] // 4 if grey.shape[1] >= 4 * BLOCK else 0  # the middle half of the columns suffices
    middle = grey[:, quarter : grey.shape[1] - quarter]
    response = cv2.convertScaleAbs(cv2.Sobel(middle, cv2.CV_16S, 2, 2, ksize=3))
    rows, columns = (max(1, side // BLOCK) for side in middle.shape)
    # only whole blocks, since any other ratio of sizes is ten times slower
    blocks = cv2.resize(response[: rows * BLOCK, : columns * BLOCK], (columns, rows), interpolation=cv2.INTER_AREA)
    ranked = np.sort(blocks, axis=None)
    return {
        "noise": NOISE_SCALE * float(ranked[ranked.size // 4]),
        "noise_floor": NOISE_SCALE * float(ranked[ranked.size // 10]),
    }


def _color(small: Array) -> Signals:
    """``cast``: the largest log-ratio of mean red or blue to mean green; ``saturation``: mean over the cells, 0..1;
    ``greyness``: 1 - saturation."""
    red, green, blue = (mean + 3 for mean in cv2.mean(small)[:3])
    reds, greens, blues = cv2.split(small)
    high, low = cv2.max(cv2.max(reds, greens), blues), cv2.min(cv2.min(reds, greens), blues)
    saturation = cv2.mean(cv2.multiply(cv2.subtract(high, low), cv2.LUT(high, PER_LIGHT), dtype=cv2.CV_32F))[0]
    return {
        "cast": max(abs(math.log(red / green)), abs(math.log(blue / green))),
        "saturation": saturation,
        "greyness": 1 - saturation,
    }


def _zipper(frame: Array) -> float:
    """How much red minus green alternates from pixel to pixel compared with green alone, as log2 of the ratio. Every
    twelfth row is measured."""
    reds, greens, _ = cv2.split(cv2.copyMakeBorder(frame[1::12], 0, 0, 1, 1, cv2.BORDER_REFLECT_101))
    signed = greens.astype(np.int16)
    return math.log2((_alternation(reds - signed) + 0.3) / (_alternation(signed) + 0.6))


def _alternation(rows: NDArray[Any]) -> float:
    """Mean absolute second difference along the rows int16; the first and the last pixel of a row have none."""
    steps = rows[:, 1:] - rows[:, :-1]
    return float(cv2.norm(steps[:, 1:], steps[:, :-1], cv2.NORM_L1) / steps[:, 1:].size)


def _blocks(middle: Array, small: Array) -> Signals:
    """``blocked``: share of blocks that are dark and have no detail; ``smooth``: share of blocks in the middle rows
    that have no detail and are not white. ``middle`` is the Laplacian at half size."""
    response = cv2.resize(middle, BLOCKS, interpolation=cv2.INTER_AREA)
    light = cv2.resize(np.ascontiguousarray(small[..., 1]), BLOCKS, interpolation=cv2.INTER_AREA)
    empty = response < 2
    return {"blocked": _share(empty & (light < 25)), "smooth": _share((empty & (light < 235))[3:12])}


def _steps(grey: Array) -> float:
    """Share of the pixels near an edge that are equal to their right neighbour. It is large for images that were
    enlarged from few pixels or compressed too much."""
    difference = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    near = cv2.threshold(cv2.dilate(difference, CLOSE), EDGE, 255, cv2.THRESH_BINARY)[1]
    edges = cv2.countNonZero(near)
    return 1 - cv2.countNonZero(cv2.min(near, difference)) / edges if edges > 50 else 0.0


def _rows(grey: Array) -> Signals:
    """``missing_rows``: share of rows that repeat the row above and are not white; ``torn``: the largest share of
    columns of one row that jump there, while they are smooth above and below it."""
    jumps = cv2.absdiff(grey[1:], grey[:-1])
    repeated = _sums(jumps) == 0
    missing = _share(repeated & (_sums(grey[1:]) <= WHITE * grey.shape[1])) if repeated.any() else 0.0
    if len(jumps) < 9:  # too few rows to compare with
        return {"missing_rows": missing, "torn": 0.0}
    lone = cv2.subtract(jumps[1:-1], cv2.max(jumps[:-2], jumps[2:]))
    columns = _sums(cv2.threshold(lone, 6, 1, cv2.THRESH_BINARY)[1])[2:-2]
    return {"missing_rows": missing, "torn": float(columns.max()) / grey.shape[1]}


def _share(chosen: NDArray[np.bool_]) -> float:
    return np.count_nonzero(chosen) / chosen.size


def _sums(values: NDArray[Any]) -> NDArray[np.int32]:
    """The sum of each row."""
    return np.asarray(cv2.reduce(values, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel(), np.int32)

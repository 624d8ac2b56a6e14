"""The signals of a picture by their definitions, in plain NumPy and float64: slow, but easy to check."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from test.health.pictures import Array

Floats = NDArray[np.float64]


def light(grey: Array) -> dict[str, float]:
    ranked = np.sort(grey[::6], axis=None)
    first, fifth, last = (float(ranked[int(np.ceil(share * ranked.size - 1e-6)) - 1]) for share in (0.01, 0.05, 0.99))
    white = float((grey[::6] >= 250).mean())
    return {"brightness": float(grey.mean()), "contrast": last - first, "haze": fifth, "white": white}


def laplacian(grey: Array) -> Floats:
    """Absolute sum of the second differences along both axes; the picture is mirrored at its rim."""
    padded = np.pad(grey.astype(np.float64), 1, mode="reflect")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return np.abs(around - 4 * grey.astype(np.float64))


def noise(grey: Array) -> dict[str, float]:
    """Measured in the middle half of the columns."""
    quarter = grey.shape[1] // 4
    grey = grey[:, quarter : grey.shape[1] - quarter]
    padded = np.pad(grey.astype(np.float64), 1, mode="reflect")
    down = padded[:-2] - 2 * padded[1:-1] + padded[2:]
    response = np.minimum(np.abs(down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]), 255)
    rows, columns = grey.shape[0] // 16, grey.shape[1] // 16
    means = response[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16).mean(axis=(1, 3))
    ranked = np.sort(np.rint(means), axis=None)
    scale = float(np.sqrt(np.pi / 2) / 6)
    return {"noise": scale * ranked[ranked.size // 4], "noise_floor": scale * ranked[ranked.size // 10]}


def color(small: Array) -> dict[str, float]:
    red, green, blue = small.reshape(-1, 3).mean(axis=0) + 3
    high, low = small.max(axis=2).astype(np.float64), small.min(axis=2)
    saturation = float(((high - low) / (high + 8)).mean())
    cast = float(max(abs(np.log(red / green)), abs(np.log(blue / green))))
    return {"cast": cast, "saturation": saturation, "greyness": 1 - saturation}


def zipper(frame: Array) -> float:
    rows = np.pad(frame[1::12].astype(np.float64), ((0, 0), (1, 1), (0, 0)), mode="reflect")
    second = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    ratio = (np.abs(second[..., 0] - second[..., 1]).mean() + 0.3) / (np.abs(second[..., 1]).mean() + 0.6)
    return float(np.log2(ratio))


def steps(grey: Array) -> float:
    jumps = np.abs(np.diff(grey[::4].astype(int), axis=1))
    padded = np.pad(jumps, ((0, 0), (2, 2)))
    near = np.max([padded[:, place : place + jumps.shape[1]] for place in range(5)], axis=0) > 12
    return float((jumps[near] == 0).mean()) if near.sum() > 50 else 0.0


def rows(grey: Array) -> dict[str, float]:
    jumps = np.abs(np.diff(grey.astype(int), axis=0))
    repeated = (jumps == 0).all(axis=1) & (grey[1:].mean(axis=1) <= 245)
    lone = jumps[1:-1] - np.maximum(jumps[:-2], jumps[2:]) > 6
    return {"missing_rows": float(repeated.mean()), "torn": float(lone.mean(axis=1)[2:-2].max())}

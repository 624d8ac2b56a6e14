"""Dirt and ice on the lens, on drives through the synthetic town."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from test.health.pictures import Array, street
from unet_seg_ros.health.lens import KEPT, Lens, _staying
from unet_seg_ros.health.picture_signals import Signals, cells

SECOND = 10**9
ROAD, BUILDING, SKY = 0, 2, 10


def driven(frames: list[Array], classes: int = BUILDING, apart: float = 1.0) -> list[Signals]:
    """The signals of frames whose mask has only one class."""
    lens = Lens([ROAD, SKY])
    mask = np.full((60, 80), classes, np.uint8)
    greys = [cv2.cvtColor(cells(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    return [
        lens.signals(frame, grey, mask, round(number * apart * SECOND))
        for number, (frame, grey) in enumerate(zip(frames, greys, strict=True))
    ]


def town(harm: Callable[[Array], Array] = np.copy) -> list[Array]:
    """Frames of a drive that turns: in each, the town is shifted by another 37 columns."""
    return [harm(np.roll(frame, 37 * number, axis=1)) for number, (frame, _) in enumerate(street())]


def mud(frame: Array) -> Array:
    """A blurred spot that passes a quarter of the light."""
    frame = frame.copy()
    behind = cv2.GaussianBlur(frame, (0, 0), 12)[20:140, 40:200]
    frame[20:140, 40:200] = behind // 4 + np.array([90, 70, 50], np.uint8)
    return frame


def ice(frame: Array) -> Array:
    needles = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, frame.shape[:2]), (0, 0), 1.2)
    return np.clip(frame + needles[..., None], 0, 255).astype(np.uint8)


def test_a_clean_lens_gives_low_signals() -> None:
    found = driven(town(), SKY)
    assert all(math.isnan(value) for signals in found[: KEPT - 1] for value in signals.values())
    assert all(signals["veiled"] == 0 and abs(signals["pattern"]) < 0.05 for signals in found[KEPT - 1 :])


def test_mud_veils_the_share_that_it_covers() -> None:
    clean, muddy = driven(town())[-1], driven(town(mud))[-1]
    covered = 120 * 160 / (320 * 240 * 0.75)
    assert muddy["veiled"] - clean["veiled"] == pytest.approx(covered, abs=0.12)
    assert muddy["veiled"] > 0.15


def test_ice_gives_a_high_pattern_signal() -> None:
    assert driven(town(ice))[-1]["pattern"] > 0.15


def test_changing_noise_gives_no_pattern_signal() -> None:
    rng = np.random.default_rng(0)
    noisy = town(lambda frame: np.clip(frame + rng.normal(0, 30, frame.shape), 0, 255).astype(np.uint8))
    assert abs(driven(noisy)[-1]["pattern"]) < 0.05


@pytest.mark.parametrize("classes", [ROAD, SKY])
def test_road_and_sky_are_not_judged(classes: int) -> None:
    assert driven(town(mud), classes)[-1]["veiled"] == 0


def test_dark_cells_are_not_judged() -> None:
    assert driven(town(lambda frame: mud(frame) // 8))[-1]["veiled"] == 0


def test_nothing_is_judged_while_the_car_stands() -> None:
    frame = ice(mud(street()[0][0]))
    rng = np.random.default_rng(0)
    frames = [np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    assert all(math.isnan(value) for value in driven(frames)[-1].values())


def test_half_a_second_of_images_is_not_judged() -> None:
    assert all(math.isnan(value) for value in driven(town(), apart=0.04)[-1].values())


def test_the_pattern_is_the_share_of_constant_energy() -> None:
    """A fixed pattern and moving noise of equal strength: half of the energy stays."""
    rng = np.random.default_rng(0)
    fixed = 20 * rng.standard_normal((1, 90, 160))
    moving = 20 * rng.standard_normal((KEPT, 90, 160))
    assert _staying((fixed + moving).astype(np.float32)) == pytest.approx(0.5, abs=0.03)
    assert _staying(moving.astype(np.float32)) == pytest.approx(0.0, abs=0.03)
    assert _staying(np.repeat(fixed, KEPT, axis=0).astype(np.float32)) == pytest.approx(1.0, abs=0.01)

"""Texts and numbers from another node's topics are limited."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unet_seg_msgs.msg import CameraHealth, ClassTable
from unet_seg_ros.data.labels import palette
from unet_seg_ros.health.trust import Health, Level
from unet_seg_ros.replay.live.connection import MOST_FLAGS, health_of, palette_of


def test_the_health_message_is_read() -> None:
    message = CameraHealth(level=1, trust=0.25, flags=["dark", "late"], reason="the picture is dark")
    assert health_of(message) == Health(Level.DEGRADED, 0.25, ("dark", "late"), "the picture is dark", {}, {})


def test_texts_are_shortened_and_levels_are_limited() -> None:
    message = CameraHealth(level=200, trust=1.0, flags=["a\nb" * 1000] * 1000, reason="\x1b[2J\n" * 10000)
    health = health_of(message)
    assert health is not None
    assert health.level == Level.BLIND
    assert len(health.flags) == MOST_FLAGS
    assert all(text.isprintable() and len(text) < 600 for text in (*health.flags, health.reason))


@pytest.mark.parametrize("trust", [math.nan, math.inf, -0.1, 1.1])
def test_a_trust_out_of_range_is_none(trust: float) -> None:
    assert health_of(CameraHealth(trust=trust)) is None


def test_wrong_colours_are_replaced_by_those_of_cityscapes() -> None:
    table = ClassTable(ids=[0, 7], colors=[1, 2, 3, 4, 5, 6])
    found = palette_of(table)
    assert found[[0, 7]].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found.any(axis=1).sum() == 2
    for ids, colors in (([0], [1, 2]), ([0, 1], [1, 2, 3]), ([], [1])):
        assert np.array_equal(palette_of(ClassTable(ids=ids, colors=colors)), palette())

"""Signals over time, on drives through the synthetic town."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from test.health.pictures import Array, street
from unet_seg_ros.health.history import History
from unet_seg_ros.health.picture_signals import Signals, cells
from unet_seg_ros.health.prediction_signals import mask_cells

SECOND = 10**9


def driven(frames: list[Array], masks: list[Array], stamps: list[int]) -> list[Signals]:
    history = History()
    return [
        history.signals(frame, cv2.cvtColor(cells(frame), cv2.COLOR_RGB2GRAY), mask_cells(mask), stamp)
        for frame, mask, stamp in zip(frames, masks, stamps, strict=True)
    ]


def seconds(count: int) -> list[int]:
    return [number * SECOND for number in range(count)]


def test_a_normal_drive_is_neither_frozen_nor_late() -> None:
    frames, masks = map(list, zip(*street(), strict=True))
    found = driven(frames, masks, seconds(len(frames)))
    assert all(signals["frozen"] == 0 for signals in found)
    assert all(signals["backwards"] == 0 for signals in found)
    assert [signals["gap"] for signals in found[6:]] == pytest.approx([1.0] * (len(found) - 6))


def test_an_unchanged_picture_is_frozen_for_its_time() -> None:
    frame, mask = street()[0]
    found = driven([frame] * 4, [mask] * 4, [0, SECOND, 3 * SECOND, 4 * SECOND])
    assert [signals["frozen"] for signals in found] == [0, 1, 3, 4]


def test_the_same_message_sent_twice_is_not_frozen() -> None:
    frame, mask = street()[0]
    assert driven([frame] * 2, [mask] * 2, [SECOND, SECOND])[1]["frozen"] == 0


def test_a_change_of_one_pixel_ends_a_freeze() -> None:
    frame, mask = street()[0]
    other = frame.copy()
    other[8, 5] ^= 1
    assert driven([frame, frame, other], [mask] * 3, seconds(3))[2]["frozen"] == 0


def test_classes_that_change_in_an_unchanged_picture_flicker() -> None:
    frame, mask = street()[0]
    other = np.full_like(mask, 8)
    stamps = [0, SECOND // 10]
    still, changed = driven([frame] * 2, [mask, mask], stamps), driven([frame] * 2, [mask, other], stamps)
    assert still[1]["flicker"] == 0
    share = float((mask_cells(mask) != 8).mean())
    assert changed[1]["flicker"] == pytest.approx(share)
    assert math.isnan(driven([frame, 255 - frame], [mask, other], stamps)[1]["flicker"])
    assert math.isnan(driven([frame] * 2, [mask, other], [0, SECOND])[1]["flicker"])


def test_gaps_and_backward_stamps_are_measured() -> None:
    frames, masks = map(list, zip(*street(), strict=True))
    tenths = [number * SECOND // 10 for number in range(10)]
    found = driven(frames[:12], masks[:12], [*tenths, 2 * SECOND, SECOND])
    assert found[10]["gap"] == pytest.approx(11.0)
    assert found[11]["backwards"] == pytest.approx(1.0)
    assert math.isnan(found[11]["gap"])


def test_extreme_stamps_do_no_harm() -> None:
    frames, masks = map(list, zip(*street(), strict=True))
    driven(frames[:4], masks[:4], [-(2**63), 2**63 - 1, 0, -1])

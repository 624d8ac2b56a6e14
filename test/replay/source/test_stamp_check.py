"""The check of a drive's stamps."""

from __future__ import annotations

import numpy as np
import pytest

from unet_seg_ros.replay.source.stamp_check import Stamps, check

TENTH = 10**8


def of(*tenths: float) -> dict[str, object]:
    return dict(check("/front/image", (10**18 + np.array(tenths, np.float64) * TENTH).astype(np.int64)))


def test_a_drive_without_faults() -> None:
    found = of(0, 1, 2, 3)
    assert found["rate"] == pytest.approx(10.0)
    assert found["seconds"] == pytest.approx(0.3)
    assert found["monotonic"] is True
    assert (found["backward"], found["repeated"], found["gaps"], found["longest_gap"]) == (0, 0, 0, None)


def test_gaps_repeated_and_backward_stamps_are_counted() -> None:
    found = of(0, 1, 2, 5, 6, 6, 4.5, 7, 8, 12)
    assert found["monotonic"] is False
    assert (found["backward"], found["repeated"], found["gaps"]) == (1, 1, 2)
    assert found["longest_gap"] == pytest.approx(0.4)


def test_stamps_that_are_all_equal() -> None:
    found = of(0, 0, 0)
    assert (found["rate"], found["repeated"], found["monotonic"]) == (None, 2, False)


@pytest.mark.parametrize("tenths", [(), (1,)])
def test_too_few_stamps_have_no_rate(tenths: tuple[float, ...]) -> None:
    found = of(*tenths)
    assert (found["rate"], found["seconds"], found["gaps"], found["frames"]) == (None, 0.0, 0, len(tenths))


def test_each_camera_is_checked_on_its_own() -> None:
    stamps = Stamps()
    for index in range(3):
        for camera in ("front", "left"):
            stamps.take(camera, index)
    found = stamps.checks({"front": "/front/image", "left": "/left/image", "rear": "/rear/image"})
    assert [(one["frames"], one["repeated"]) for one in found.values()] == [(3, 0), (3, 0), (0, 0)]

"""Streaming accuracy against a loop that looks for the newest mask at each instant from the whole list of frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.data.labels import GROUPINGS, VOID
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.metrics.streaming import Moment, Streaming

GROUPING = GROUPINGS["cityscapes19"]


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 19, (3, 4), np.uint8)


def arrivals(times: list[float], latencies: list[float]) -> list[tuple[float, int]]:
    """The times at which masks come, by frame. When the network is free it begins with the newest frame."""
    found: list[tuple[float, int]] = []
    free, index = -np.inf, 0
    while index < len(times):
        begin = max(free, times[index])
        newest = max(i for i in range(index, len(times)) if i == index or times[i] < begin)
        free = begin + latencies[newest]
        found.append((free, newest))
        index = newest + 1
    return found


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 0.5, 1, 2.5, 7])), min_size=1, max_size=12))
def test_it_equals_a_slow_loop(frames: list[tuple[int, float]]) -> None:
    times = np.cumsum([gap for gap, _ in frames]).tolist()
    latencies = [latency for _, latency in frames]
    found = Streaming(GROUPING)
    for i, time in enumerate(times):
        found.take("front", Moment(time, latencies[i]), picture(i), picture(100 + i))
    expected = ConfusionMatrix(GROUPING)
    masks = arrivals(times, latencies)
    for i, time in enumerate(times):
        there = [frame for at, frame in masks if at <= time]
        expected.update(picture(100 + i), picture(max(there)) if there else np.full((3, 4), VOID, np.uint8))
    np.testing.assert_array_equal(found.confusion.matrix, expected.matrix)
    assert found.instants == len(frames)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 0.5, 1, 2.5, 7, None])), min_size=1, max_size=12))
def test_measured_times_are_used_unchanged(frames: list[tuple[int, float | None]]) -> None:
    """``None`` is a frame whose mask never came. Masks come in the order of their frames."""
    times = np.cumsum([gap for gap, _ in frames]).tolist()
    arrived = np.maximum.accumulate(
        [-np.inf if late is None else time + late for time, (_, late) in zip(times, frames, strict=True)]
    )
    found, expected = Streaming(GROUPING), ConfusionMatrix(GROUPING)
    for i, (time, (_, latency)) in enumerate(zip(times, frames, strict=True)):
        if latency is None:
            found.miss("front", time, picture(100 + i))
        else:
            found.take("front", Moment(time, float(arrived[i]) - time, measured=True), picture(i), picture(100 + i))
        there = [j for j in range(i + 1) if frames[j][1] is not None and arrived[j] <= time]
        expected.update(picture(100 + i), picture(there[-1]) if there else np.full((3, 4), VOID, np.uint8))
    np.testing.assert_array_equal(found.confusion.matrix, expected.matrix)
    assert found.instants == len(frames)


def test_without_latency_it_equals_the_accuracy_of_the_masks() -> None:
    found, expected = Streaming(GROUPING), ConfusionMatrix(GROUPING)
    for i in range(5):
        found.take("front", Moment(i, 0.0), picture(i), picture(9))
        expected.update(picture(9), picture(i))
    np.testing.assert_array_equal(found.confusion.matrix, expected.matrix)


def test_cameras_are_independent_and_a_backward_jump_starts_again() -> None:
    found, zero = Streaming(GROUPING), np.zeros((1, 1), np.uint8)
    for camera in ("left", "right"):
        found.take(camera, Moment(10.0, 1.0), zero, None)
        found.take(camera, Moment(11.0, 1.0), zero, zero)
    assert found.confusion.matrix[0, 0] == 2
    found.take("left", Moment(3.0, 1.0), zero, zero)  # no mask of this time has arrived
    assert found.confusion.matrix[0, 0] == 2
    assert found.instants == 3


def test_a_mask_of_another_size_counts_as_no_mask() -> None:
    found = Streaming(GROUPING)
    found.take("front", Moment(0.0, 0.0), np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8))
    assert found.confusion.mean_iou() == 0


def test_sums_of_two_drives_add_up() -> None:
    both = Streaming(GROUPING)
    for start in (0, 50):
        one = Streaming(GROUPING)
        for i in range(3):
            one.take("front", Moment(i, 0.4), picture(start + i), picture(9))
        both += one
    assert both.instants == 6
    assert both.confusion.matrix.sum() == pytest.approx(6 * 12)

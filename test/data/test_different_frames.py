"""Chooses frames of which no two are similar, the frame of most worth first."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from unet_seg_ros.data.different_frames import Candidates


def shade(level: int, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def test_similar_frames_are_chosen_once() -> None:
    candidates: Candidates[tuple[str, int]] = Candidates()
    for number, level in enumerate([10, 11, 10, 200, 100, 201, 99]):
        candidates.add(("a", number), shade(level))
    assert candidates.most_different(7) == [("a", 0), ("a", 4), ("a", 5)]
    assert candidates.most_different(2) == [("a", 0), ("a", 5)]  # 201 is farther from 10 than 200 is
    assert candidates.most_different(1) == [("a", 0)]


def test_frames_of_any_size_are_compared() -> None:
    candidates: Candidates[tuple[str, int]] = Candidates()
    for number, (height, width) in enumerate([(1, 1), (7, 3), (400, 600)]):
        candidates.add(("a", number), shade(100, height, width))
    assert candidates.most_different(3) == [("a", 0)]
    assert Candidates[int]().most_different(3) == []


@given(st.integers(1, 300), st.integers(1, 20))
def test_frames_of_a_long_drive_are_compared_at_even_intervals(length: int, limit: int) -> None:
    candidates: Candidates[tuple[str, int]] = Candidates(limit)
    for number in range(length):
        candidates.add(("a", number), shade(0, 2, 2))
    assert candidates.seen == length
    numbers = [number for _, number in candidates.keys]
    steps = set(np.diff(numbers).tolist())
    assert numbers[0] == 0
    assert len(numbers) <= limit
    assert len(steps) <= 1
    assert length <= limit or len(numbers) >= limit // 2


def test_worth_and_difference_count_equally() -> None:
    candidates: Candidates[int] = Candidates()
    for number, (level, worth) in enumerate([(10, 0.1), (60, 0.9), (62, 0.8), (160, 0.2), (110, 0.5), (250, 0.0)]):
        candidates.add(number, shade(level), worth)
    assert candidates.most_different(1) == [1]
    assert candidates.most_different(2) == [1, 4]  # 50 levels at 0.5 are more than 100 at 0.2
    assert candidates.most_different(3) == [1, 3, 4]
    assert candidates.most_different(9) == [0, 1, 3, 4, 5]  # 62 is too similar to 60


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.integers(1, 20))
def test_the_frame_of_most_worth_in_a_long_drive_is_kept(worths: list[float], limit: int) -> None:
    candidates: Candidates[int] = Candidates(limit)
    for number, worth in enumerate(worths):
        candidates.add(number, shade(0, 2, 2), worth)
    assert max(worths) in [worths[key] for key in candidates.keys]
    assert len(candidates.keys) <= limit

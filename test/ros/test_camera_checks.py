"""From counts to a level: estimates of the stream, windows, thresholds with hysteresis, and the throttle."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.ros import camera_stats
from unet_seg_ros.ros.camera_checks import Publisher, Situation, check
from unet_seg_ros.ros.camera_rate import Stream
from unet_seg_ros.ros.camera_stats import CameraStats
from unet_seg_ros.ros.diagnostic_levels import CLEAR_SECONDS, ERROR, OK, WARN, Finding, Troubles
from unet_seg_ros.ros.settings import Limits
from unet_seg_ros.ros.throttle import Throttle

MS = 10**6
IMAGE = "sensor_msgs/msg/Image"
LIMITS = Limits(
    min_rate=1.0, max_age=1.0, max_drop_ratio=0.5, max_lost_ratio=0.1, max_malformed_ratio=0.0, error_after=10.0
)
SITUATION = Situation("/a", IMAGE, True, 0.1, (Publisher(IMAGE, True),))


def seen(stamps_ms: list[float], expected_rate: float = 0.0) -> Stream:
    stream = Stream(expected_rate)
    for stamp in stamps_ms:
        stream.see(round(stamp * MS))
    return stream


@pytest.mark.parametrize("share", [0.1, 0.3, 0.78])  # 0.78: of 30 images a second 6.6 arrive
def test_frames_that_are_lost_at_random_are_counted(share: float) -> None:
    rng = random.Random(1)
    kept = [i for i in range(3000) if rng.random() >= share]
    stream = seen([i * 1000 / 30 + rng.uniform(-3, 3) for i in kept])
    truth = kept[-1] - kept[0] + 1 - len(kept)
    assert stream.rate == pytest.approx(30, rel=0.05)
    assert 0.88 * truth <= stream.lost <= 1.02 * truth


def test_a_steady_camera_loses_nothing() -> None:
    rng = random.Random(2)
    stream = seen([i * 100 + rng.uniform(-25, 25) for i in range(1000)])
    assert stream.lost == 0
    assert stream.rate == pytest.approx(10, rel=0.2)


def test_a_camera_that_becomes_slower_loses_nothing() -> None:
    fast = [i * 1000 / 30 for i in range(100)]
    slow = [fast[-1] + (i + 1) * 1000 / 10 for i in range(100)]
    faster = [slow[-1] + (i + 1) * 1000 / 30 for i in range(100)]
    stream = seen(fast + slow)
    assert stream.lost == 0
    assert stream.rate == pytest.approx(10)
    assert seen(fast + slow + faster).lost == 0


def test_with_a_given_rate_regular_losses_are_counted() -> None:
    every_second = [i * 200.0 for i in range(51)]
    assert seen(every_second).lost == 0
    assert seen(every_second, expected_rate=10.0).lost == 50


def test_a_break_and_a_jump_back_do_not_count_as_losses() -> None:
    before, after = [i * 100.0 for i in range(50)], [600_000 + i * 100.0 for i in range(50)]
    for expected_rate in (0.0, 10.0):
        assert seen(before + after, expected_rate).lost == 0
        looped = seen(before + before, expected_rate)
        assert (looped.lost, looped.backwards) == (0, 1)


@pytest.mark.parametrize("burst_ms", [0.000001, 1.0, 20.0])
@pytest.mark.parametrize("place", [0, 3, 6, 30])
def test_two_images_that_come_almost_at_once_give_no_rate(burst_ms: float, place: int) -> None:
    """A driver that was late sends two images at once."""
    steady = [i * 100.0 for i in range(60)]
    steady[place] = steady[place + 1] - burst_ms
    assert seen(steady).lost == 0
    assert seen(steady).rate == pytest.approx(10, rel=0.05)


def test_the_number_of_losses_always_fits_into_the_message(clock: Clock) -> None:
    stats = CameraStats()
    for i in range(2000):  # half of the gaps are a nanosecond
        clock.now += 0.1
        stats.count_received((i // 2) * 4 * 10**9 + i % 2)
    assert stats.stream.rate <= 1000
    assert 0 <= stats.take_lost() <= 4000 * 1000
    stats.stream.lost += 2**40
    assert stats.take_lost() == 2**32 - 1


def test_a_pause_of_the_node_is_not_reported_as_a_fault_of_the_camera(clock: Clock) -> None:
    for pause in (2.5, 8.0):
        stats = fed(clock)
        clock.now += pause
        stats.listen()
        assert crossed(stats) == set()
        now = round((10 + pause) * 1e9)
        stats.count_received(now)
        stats.count_processed(0.05)
        assert crossed(stats) == set()
        stats.count_received(now + 100 * MS)
        assert (stats.stream.lost, stats.received) == (0, 102)
        assert stats.stream.rate == pytest.approx(10, rel=0.01)


def test_stamps_that_do_not_change_are_counted() -> None:
    assert seen([5.0] * 10).repeated == 9
    assert seen([5.0] * 10 + [6.0]).repeated == 0
    assert math.isnan(seen([5.0] * 10).rate)


@given(st.lists(st.integers(-(2**31) * 10**9, 2**31 * 10**9), max_size=100))
def test_any_stamps_are_accepted(stamps: list[int]) -> None:
    stream = Stream()
    for stamp in stamps:
        stream.see(stamp)
    assert stream.lost >= 0
    assert not stream.rate <= 0


def test_a_warning_ends_only_below_its_threshold() -> None:
    troubles = Troubles()

    def at(now: float, excess: float) -> int:
        return troubles.update([Finding("late", excess, f"at {now}")], now, error_after=5.0)[0]

    assert at(0, 1.0) == OK  # a threshold is crossed above it
    assert at(1, 1.1) == WARN
    assert at(2, 0.95) == WARN  # still above the value that ends the warning
    assert at(2.5, 0.5) == WARN
    assert at(2 + CLEAR_SECONDS, 0.5) == OK
    assert at(10, 2.0) == WARN
    assert at(14.9, 0.95) == WARN
    assert at(15, 0.95) == ERROR
    assert at(16, 0.1) == ERROR  # and it does not become a warning again either
    assert at(15 + CLEAR_SECONDS, 0.1) == OK
    assert troubles.keys == []


def test_a_trouble_without_a_finding_ends() -> None:
    troubles = Troubles()
    troubles.update([Finding("silent", 2.0, "no image")], 0, 10.0)
    assert troubles.update([], 1, 10.0) == (WARN, "no image")
    assert troubles.update([], CLEAR_SECONDS, 10.0) == (OK, "")


def test_the_worst_trouble_comes_first_and_the_message_is_short() -> None:
    troubles = Troubles()
    findings = [Finding(f"mild {i}", 2.0, f"mild {i}", lasting=WARN) for i in range(4)]
    troubles.update(findings, 0, 5.0)
    level, message = troubles.update([*findings, Finding("late", 2.0, "late")], 6, 5.0)
    assert level == WARN
    level, message = troubles.update([*findings, Finding("late", 2.0, "late")], 12, 5.0)
    assert level == ERROR
    assert message == "late; mild 0; mild 1; and 2 more"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(camera_stats, "monotonic", made)
    return made


def crossed(stats: CameraStats, **changes: Any) -> set[str]:
    """Keys of the findings that cross their threshold; ``changes`` are of the limits or of the situation."""
    limits = replace(LIMITS, **{k: v for k, v in changes.items() if hasattr(LIMITS, k)})
    situation = replace(SITUATION, **{k: v for k, v in changes.items() if not hasattr(LIMITS, k)})
    return {finding.key for finding in check(situation, stats, limits) if finding.excess > 1}


def fed(clock: Clock, frames: int = 100, rate: float = 10.0, age: float = 0.05, drop: int = 0) -> CameraStats:
    """After ``frames`` at ``rate``; every ``drop``-th is dropped."""
    stats = CameraStats()
    for i in range(frames):
        clock.now += 1 / rate
        stats.count_received(round(i * 1e9 / rate))
        if drop and i % drop == 0:
            stats.count_drop("replaced by a newer one")
        else:
            stats.count_processed(age)
    return stats


def test_a_camera_without_trouble_gives_no_finding(clock: Clock) -> None:
    assert crossed(fed(clock)) == set()
    assert crossed(CameraStats(), silent=1.9) == set()  # it has just started


def test_each_threshold_is_checked(clock: Clock) -> None:
    assert crossed(fed(clock, rate=0.5, frames=20), silent=1.0) == {"slow"}
    assert crossed(fed(clock, rate=0.5, frames=20), min_rate=0.0) == set()
    assert crossed(fed(clock, age=1.5)) == {"late"}
    assert crossed(fed(clock, age=1.5), max_age=0.0) == set()
    assert crossed(fed(clock, age=1e6)) == {"other clock"}
    assert crossed(fed(clock, age=-1e6)) == {"other clock"}
    assert crossed(fed(clock, drop=3)) == set()
    assert crossed(fed(clock, drop=3), max_drop_ratio=0.3) == {"dropped"}
    assert crossed(fed(clock, drop=1), max_drop_ratio=1.0) == {"slow"}


def test_with_several_publishers_no_losses_are_reported(clock: Clock) -> None:
    stats = CameraStats()
    for i in range(60):  # pairs of images, a millisecond apart
        clock.now += 0.1
        stats.count_received((i // 2) * 200 * MS + (i % 2) * MS, i // 2)
        stats.count_processed(0.05)
    assert "lost" in crossed(stats)
    assert crossed(stats, publishers=2 * SITUATION.publishers) == {"several publishers"}


def numbered(clock: Clock, numbers: Iterable[int | None]) -> CameraStats:
    """After an image of each of the ``numbers`` that publishers gave them, 5 a second."""
    stats = CameraStats()
    for i, number in enumerate(numbers):
        clock.now += 0.2
        stats.count_received(i * 200 * MS, number)
        stats.count_processed(0.05)
    return stats


@pytest.mark.parametrize(
    ("numbers", "mixed"),
    [
        (range(20), False),
        ([*range(50, 60), *range(10)], False),  # a driver that was started again
        ([*range(1, 4)] * 9, False),  # again and again
        ([i // 2 for i in range(20)], True),  # two publishers that started together
        ([i if i % 2 else i + 1000 for i in range(20)], True),
        ([i + 1000 * (i % 5 == 0) for i in range(25)], True),  # one publisher is slower
        ([*range(0, 40, 5)], False),  # some images are lost
        ([None] * 20, True),  # a middleware that does not number them
        ([], False),
    ],
)
def test_several_publishers_are_reported_while_their_images_alternate(
    clock: Clock, numbers: Iterable[int | None], mixed: bool
) -> None:
    stats = numbered(clock, numbers)
    two = 2 * SITUATION.publishers
    assert crossed(stats, publishers=two) == ({"several publishers"} if mixed else set())
    assert crossed(stats) == set()
    clock.now += 20
    assert "several publishers" not in crossed(stats, publishers=two) or None in numbers


def test_old_events_are_not_counted(clock: Clock) -> None:
    stats = fed(clock, drop=1)
    assert crossed(stats, silent=0.1) >= {"dropped"}
    clock.now += 20
    assert "dropped" not in crossed(stats, silent=0.1)


def test_a_slow_camera_is_not_silent_between_two_images(clock: Clock) -> None:
    stats = fed(clock, frames=20, rate=0.4)
    assert "silent" not in crossed(stats, silent=2.4)
    assert "silent" in crossed(stats, silent=8.0)


def test_frames_that_are_skipped_on_purpose_do_not_count_as_dropped(clock: Clock) -> None:
    stats = CameraStats()
    for i in range(100):
        clock.now += 0.1
        stats.count_received(i * 100 * MS)
        stats.count_drop("over max_rate") if i % 3 else stats.count_processed(0.0)
    assert crossed(stats) == set()
    assert stats.take_drops() == 66


@given(st.floats(1, 60), st.floats(1, 60))
def test_a_throttle_keeps_its_rate(camera: float, most: float) -> None:
    throttle = Throttle(most)
    passed = [i / camera for i in range(1000) if throttle.passes(i / camera)]
    wanted = min(camera, most)
    assert len(passed) == pytest.approx(wanted * 1000 / camera, rel=0.02, abs=2)
    for first, third in zip(passed, passed[2:], strict=False):
        assert third - first >= 1 / most - 1e-6  # never three frames within a period


def test_without_a_rate_every_frame_passes() -> None:
    throttle = Throttle(0.0)
    assert all(throttle.passes(0.0) for _ in range(10))

"""Latency, stages and rates of a live drive, computed without playing a drive."""

from __future__ import annotations

import pytest

from test.replay.live.test_frame_counts import playback, sent
from unet_seg_ros.replay.live.latency import achieved, latency, stages


def test_a_frame_without_a_mask_has_no_latency() -> None:
    assert latency(sent(0, 7_000_000)) == pytest.approx(0.007)
    assert latency(sent(0, None)) is None


def test_transport_is_the_rest_of_the_latency() -> None:
    told = {"decode": 0.01, "preprocess": 0.02, "forward": 0.03, "postprocess": 0.04, "wait": 0.05, "publish": 9.0}
    frame = sent(0, 200_000_000)
    frame.stages = told
    assert stages(frame) == pytest.approx({**told, "transport": 0.05})
    frame.repeated = True  # its latency is unknown
    assert stages(frame) == {**told, "transport": None}
    assert set(stages(sent(1, 5)).values()) == {None}


def test_steady_cameras_of_different_rates_have_no_jitter() -> None:
    frames = [sent(index, 10_000_000, camera) for camera, step in (("a", 1), ("b", 2)) for index in range(0, 8, step)]
    assert achieved(playback(*frames))["jitter"] == pytest.approx(0, abs=1e-12)


def test_rates_and_jitter() -> None:
    frames = [sent(index, 10_000_000 if index % 2 else 20_000_000) for index in range(5)]
    found = achieved(playback(*frames, sent(0, None, "left")))
    assert found["rate"] == pytest.approx(4 / 0.2)
    assert found["jitter"] == pytest.approx(0.01)  # intervals of 40 and 60 ms
    assert achieved(playback(sent(0, None))) == {"sent": None, "rate": None, "jitter": None}

"""The figures of a live drive against brute force, on drives that were never played."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.replay.live.playback import Counts, Playback, Sent
from unet_seg_ros.replay.live.timing import (
    achieved,
    counted,
    reasons,
    stages,
)
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.vocabulary import Drop


def sent(index: int, delay_ns: int | None, camera: str = "front") -> Sent:
    at = index * 50_000_000
    begin = 10**12 + at + 1000
    return Sent(camera, index, 10**9 + at, at, begin, None, None if delay_ns is None else begin + delay_ns)


def playback(*frames: Sent, **counts: Counts) -> Playback:
    return Playback(Target.own({sent.camera: "" for sent in frames}), list(frames), counts)


def test_counts_are_those_since_the_drive_began() -> None:
    values = {"received": "20", "processed": "15", "dropped": "5", "dropped: busy": "4", "dropped: new": "1"}
    before = Counts(12, 10, {"busy": 2})
    assert Counts.of(values).since(before) == Counts(8, 5, {"busy": 2, "new": 1})


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
)
def test_reasons_sum_to_what_was_dropped(sent: int, masks: int, received: int, dropped: dict[str, int]) -> None:
    """Whatever the node says."""
    why = reasons(sent, masks, Counts(received, received - sum(dropped.values()), dropped))
    assert sum(why.values()) == sent - masks
    assert 0 not in why.values()


def test_reasons_are_named() -> None:
    assert reasons(10, 10, Counts(10, 10, {})) == {}
    why = reasons(100, 80, Counts(97, 82, {"replaced": 9, "malformed": 5}))
    assert why == {"replaced": 9, "malformed": 5, Drop.UNFINISHED: 1, Drop.LOST_BEFORE_NODE: 3, Drop.LOST_AFTER_NODE: 2}
    assert reasons(100, 80, None) == {Drop.UNKNOWN: 20}


def test_cameras_are_summed() -> None:
    frames = [sent(0, 5), sent(1, None), sent(0, None, "left"), sent(1, 7, "left"), sent(2, 7, "left")]
    both = playback(*frames, front=Counts(2, 1, {"busy": 1}), left=Counts(2, 2, {}))
    assert counted(both) == {"sent": 5, "received": 4, "processed": 3, "dropped": {"busy": 1, Drop.LOST_BEFORE_NODE: 1}}
    assert counted(playback(*frames, front=Counts(2, 1, {"busy": 1})))["received"] is None


def test_transport_is_what_the_node_does_not_account_for() -> None:
    told = {"decode": 0.01, "preprocess": 0.02, "forward": 0.03, "postprocess": 0.04, "wait": 0.05, "publish": 9.0}
    frame = sent(0, 200_000_000)
    frame.stages = told
    assert stages(frame) == pytest.approx({**told, "transport": 0.05})
    frame.repeated = True  # its latency is not known
    assert stages(frame) == {**told, "transport": None}
    assert set(stages(sent(1, 5)).values()) == {None}


def test_steady_cameras_of_different_rates_do_not_jitter() -> None:
    frames = [sent(index, 10_000_000, camera) for camera, step in (("a", 1), ("b", 2)) for index in range(0, 8, step)]
    assert achieved(playback(*frames))["jitter"] == pytest.approx(0, abs=1e-12)


def test_rates_and_jitter() -> None:
    frames = [sent(index, 10_000_000 if index % 2 else 20_000_000) for index in range(5)]
    found = achieved(playback(*frames, sent(0, None, "left")))
    assert found["rate"] == pytest.approx(4 / 0.2)
    assert found["jitter"] == pytest.approx(0.01)  # intervals of 40 and 60 ms
    assert achieved(playback(sent(0, None))) == {"sent": None, "rate": None, "jitter": None}

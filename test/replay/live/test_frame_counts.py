"""The numbers of frames of a live drive, computed without playing a drive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.replay.live.frame_counts import (
    counted,
    reasons,
)
from unet_seg_ros.replay.live.played_drive import Counts, PlayedDrive, Sent
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.vocabulary import Drop


def sent(index: int, delay_ns: int | None, camera: str = "front") -> Sent:
    at = index * 50_000_000
    begin = 10**12 + at + 1000
    return Sent(camera, index, 10**9 + at, at, begin, None, None if delay_ns is None else begin + delay_ns)


def playback(*frames: Sent, **counts: Counts) -> PlayedDrive:
    return PlayedDrive(Target.own({sent.camera: "" for sent in frames}), list(frames), counts)


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
def test_the_reasons_sum_to_the_dropped_frames(sent: int, masks: int, received: int, dropped: dict[str, int]) -> None:
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

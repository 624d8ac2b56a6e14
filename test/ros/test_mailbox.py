"""The mailbox keeps only the newest frame, serves the oldest camera first, and takes groups together."""

from __future__ import annotations

from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.ros.mailbox import Mailbox


def alone(camera: str) -> str:
    return camera


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_the_newest_frame_of_the_camera_that_waits_longest_comes_first(events: list[tuple[str, bool]]) -> None:
    box: Mailbox[int] = Mailbox()
    waiting: list[str] = []
    newest: dict[str, int] = {}
    for number, (camera, take) in enumerate(events):
        assert box.put(camera, number) == (camera in waiting)
        if camera not in waiting:
            waiting.append(camera)
        newest[camera] = number
        if take:
            first = waiting.pop(0)
            assert box.take(alone) == {first: newest[first]}
    assert box.close() == waiting


def test_frames_of_one_group_are_taken_together() -> None:
    box: Mailbox[int] = Mailbox()
    for number, camera in enumerate("abcd"):
        box.put(camera, number)
    assert box.take(lambda camera: camera in "bd") == {"a": 0, "c": 2}
    assert box.take(lambda camera: camera in "bd") == {"b": 1, "d": 3}


def test_close_wakes_the_worker_and_refuses_frames() -> None:
    box: Mailbox[int] = Mailbox()
    taken: list[dict[str, int]] = []
    worker = Thread(target=lambda: taken.append(box.take(alone)))
    worker.start()
    assert box.close() == []
    worker.join(10)
    assert taken == [{}]
    assert box.put("a", 1)
    assert box.take(alone) == {}

"""Live: the streaming accuracy of frames that were answered late or never, against a loop over all masks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from test.replay import drives
from unet_seg_ros.data.labels import CLASS_NAMES, VOID
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.live.played_drive import Sent
from unet_seg_ros.replay.live.recording_reader import Answer
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.run.evaluation import Evaluation
from unet_seg_ros.replay.run.frames_without_mask import FramesWithoutMask
from unet_seg_ros.replay.run.live import _look
from unet_seg_ros.replay.source.drive import Drive

LABELS = 8
CAMERAS = {"front": "/front", "left": "/left"}
START = 10**15
"""Nanoseconds of the monotonic clock on a machine that has run for days."""


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 19, (6, 8), np.uint8)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("labels")
    for number in range(LABELS):
        assert cv2.imwrite(str(folder / f"{number}.png"), picture(100 + number))
    return [folder / f"{number}.png" for number in range(LABELS)]


frames = st.lists(
    st.tuples(
        st.sampled_from(list(CAMERAS)),
        st.integers(1, 3),  # milliseconds since the frame before
        st.sampled_from([0.5, 1.5, 2.5, 5.5, 9.5, None]),  # milliseconds to its mask; never at the time of a frame
        st.sampled_from([*range(LABELS), None]),
    ),
    min_size=1,
    max_size=14,
)


def played(given: list[tuple[str, int, float | None, int | None]], labels: list[Path]) -> list[Sent]:
    """Masks of a camera come in the order of its frames."""
    found: list[Sent] = []
    last = dict.fromkeys(CAMERAS, 0)
    now = START
    for index, (camera, gap, latency, label) in enumerate(given):
        now += gap * 10**6
        received = None if latency is None else max(last[camera], now + round(latency * 10**6))
        last[camera] = received or last[camera]
        file = None if label is None else labels[label]
        found.append(Sent(camera, index, drives.STAMP + now, now - START, now, file, received))
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(frames)
def test_the_streaming_accuracy_equals_that_of_a_slow_loop(
    labels: list[Path], given: list[tuple[str, int, float | None, int | None]]
) -> None:
    sent = played(given, labels)
    options = Options(mode="live", labels=LabelSource(labels[0].parent, train_ids=True))
    drive = Drive(labels[0].parent, CAMERAS, "raw", len(sent), lambda: iter(()))
    evaluation = Evaluation.of_drive(drive, options)
    truth = Truth(options.labels, drive, evaluation.problems)
    without_mask = FramesWithoutMask(sent, evaluation, truth)
    coverage = SimpleNamespace(
        class_names=CLASS_NAMES, model="x", regions=[SimpleNamespace(fraction=np.zeros(len(CLASS_NAMES)))]
    )
    for one in sent:
        if one.received_ns is not None:
            image = np.zeros((6, 8, 3), np.uint8)
            answer = Answer(one, image, picture(one.index), np.zeros((6, 8), np.uint8), coverage)
            without_mask.compare_before(answer)
            _look(answer, evaluation, truth, None)
    without_mask.compare_rest()
    expected = ConfusionMatrix(options.grouping)
    answered = {one.camera for one in sent if one.received_ns is not None}
    for one, (camera, _, _, label) in zip(sent, given, strict=True):
        if label is not None and camera in answered:
            there = [o for o in sent if o.camera == camera and o.received_ns and o.received_ns <= one.sent_ns]
            mask = picture(there[-1].index) if there else np.full((6, 8), VOID, np.uint8)
            expected.update(picture(100 + label), mask)
    np.testing.assert_array_equal(evaluation._score.streaming.confusion.matrix, expected.matrix)
    assert not [line for line in evaluation.problems.lines() if "label" in line]


def test_frames_without_pixels_or_with_a_repeated_stamp_are_left_out(labels: list[Path]) -> None:
    sent = played([("front", 1, None, 0)] * 3, labels)
    sent[0].problem, sent[1].repeated = "damaged", True
    options = Options(mode="live")
    drive = Drive(labels[0].parent, CAMERAS, "raw", 3, lambda: iter(()))
    evaluation = Evaluation.of_drive(drive, options)
    without_mask = FramesWithoutMask(sent, evaluation, Truth(options.labels, drive, evaluation.problems))
    assert [one.index for one in without_mask._frames["front"]] == [2]
    without_mask.compare_rest()  # no mask ever came: there is no size to compare at
    assert evaluation._score.streaming.instants == 0

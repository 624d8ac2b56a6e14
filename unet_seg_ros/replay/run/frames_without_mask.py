"""Live: the frames for which no mask came. For the streaming accuracy, their labels are compared with an older mask."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from unet_seg_ros.replay.labels.matcher import Truth
from unet_seg_ros.replay.live.played_drive import Sent
from unet_seg_ros.replay.live.recording_reader import Answer
from unet_seg_ros.replay.run.evaluation import Evaluation


class FramesWithoutMask:
    """The frames without a mask among ``frames``, which are in order of sending. Frames without pixels and with a
    repeated stamp are left out, and so is a camera without any mask, because the size of its masks is not known."""

    def __init__(self, frames: Sequence[Sent], evaluation: Evaluation, truth: Truth) -> None:
        self._evaluation = evaluation
        self._truth = truth
        self._frames: dict[str, deque[Sent]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for sent in frames:
            if sent.received_ns is None and not sent.repeated and not sent.problem:
                self._frames.setdefault(sent.camera, deque()).append(sent)

    def compare_before(self, answer: Answer) -> None:
        """Compare the frames that the same camera sent before that of ``answer``. Answers must come in order of
        sending."""
        camera = answer.sent.camera
        self._shapes[camera] = answer.mask.shape
        waiting = self._frames.get(camera, deque())
        while waiting and waiting[0].sent_ns < answer.sent.sent_ns:
            self._compare(waiting.popleft())

    def compare_rest(self) -> None:
        """Compare the frames that were sent after the last answer."""
        for camera in self._shapes:
            for sent in self._frames.pop(camera, ()):
                self._compare(sent)

    def _compare(self, sent: Sent) -> None:
        label = self._truth.label(sent.camera, sent.stamp_ns, sent.label, self._shapes[sent.camera])
        self._evaluation.miss(sent.camera, sent.sent_ns / 1e9, label)

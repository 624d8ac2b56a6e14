"""Accuracy as a planner gets it: at each labelled instant, the newest mask that had arrived by then (Li et al. 2020,
arXiv:2005.10420; Courdier & Fleuret 2020, arXiv:2012.15817).

The masks of a slow network may be right and still be wrong on the road, because the street has moved when they come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import VOID, Grouping
from unet_seg_ros.metrics.confusion import ConfusionMatrix

Array = NDArray[np.uint8]


class Moment(NamedTuple):
    """The ``time`` of a frame, and the seconds from then to its mask. With ``measured`` the frame's waiting time is
    included; otherwise it is the time that the network works on the frame."""

    time: float
    latency: float
    measured: bool = False


class _Work(NamedTuple):
    mask: Array
    seconds: float


class _Coming(NamedTuple):
    at: float
    mask: Array


@dataclass
class _Camera:
    """The state of one camera. If times are not measured, the network works on one frame at a time and then takes the
    newest waiting one, as the node does. If they are measured, the masks in ``coming`` arrive at their own times."""

    now: float = -np.inf
    arrived: Array | None = None
    working: _Work | None = None
    done_at: float = np.inf
    waiting: _Work | None = None
    coming: deque[_Coming] = field(default_factory=deque)

    def advance(self, time: float) -> None:
        """Take the masks that have arrived by ``time``, in seconds."""
        self.now = time
        while self.coming and self.coming[0].at <= time:
            self.arrived = self.coming.popleft().mask
        while self.working and self.done_at <= time:
            self.arrived, self.working = self.working.mask, None
            if self.waiting:
                self._begin(self.waiting, self.done_at)
                self.waiting = None

    def take(self, work: _Work) -> None:
        """Add a frame that comes now. It replaces a waiting frame."""
        if self.working:
            self.waiting = work
        else:
            self._begin(work, self.now)
        self.advance(self.now)  # it may take no time

    def expect(self, work: _Work) -> None:
        """Add a frame that comes now and whose mask comes after a measured time."""
        self.coming.append(_Coming(self.now + work.seconds, work.mask))
        self.advance(self.now)

    def _begin(self, work: _Work, time: float) -> None:
        self.working, self.done_at = work, time + work.seconds


class Streaming:
    """Sums over the labelled frames of a drive. If times are not measured, each camera has the network for itself.

    As long as no mask has arrived, all labelled pixels are wrong. A camera starts again if its time goes backwards.
    """

    def __init__(self, grouping: Grouping) -> None:
        self.confusion = ConfusionMatrix(grouping)
        self.instants = 0
        self._cameras: dict[str, _Camera] = {}

    def take(self, camera: str, moment: Moment, mask: Array, label: Array | None) -> None:
        """Add a frame with its mask and, if there is one, its label (train ids, H×W uint8)."""
        state = self._at(camera, moment.time)
        work = _Work(mask, moment.latency)
        if moment.measured:
            state.expect(work)
        else:
            state.take(work)
        self._compare(state, label)

    def miss(self, camera: str, time: float, label: Array | None) -> None:
        """Add a frame for which no mask came."""
        self._compare(self._at(camera, time), label)

    def _at(self, camera: str, time: float) -> _Camera:
        state = self._cameras.get(camera)
        if state is None or time < state.now:
            state = self._cameras[camera] = _Camera()
        state.advance(time)
        return state

    def _compare(self, state: _Camera, label: Array | None) -> None:
        if label is None:
            return
        newest = state.arrived
        if newest is None or newest.shape != label.shape:
            newest = np.full_like(label, VOID)
        self.confusion.update(label, newest)
        self.instants += 1

    def __iadd__(self, other: Streaming) -> Streaming:
        """Add the sums of another drive."""
        self.confusion += other.confusion
        self.instants += other.instants
        return self

    def __getstate__(self) -> dict[str, object]:
        """What is sent to another process: only the sums."""
        return {**self.__dict__, "_cameras": {}}

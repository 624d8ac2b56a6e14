"""Plays a drive to the node: sends each frame when it is due, and waits for what comes back."""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from tqdm import tqdm

from unet_seg_ros.replay.errors import NodeError, SourceError
from unet_seg_ros.replay.live.drive_clock import DriveClock
from unet_seg_ros.replay.live.link import Link
from unet_seg_ros.replay.live.node_process import NodeProcess
from unet_seg_ros.replay.live.node_status import FIND_SECONDS, NodeStatus
from unet_seg_ros.replay.live.playback import Playback
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.source.prefetch import prefetch
from unet_seg_ros.replay.topics import Target

START_SECONDS = 180.0
"""How long the node may take to load PyTorch and the model."""
SETTLE_SECONDS = 5.0
"""How long to wait for a reliable input subscription: the node first takes what every publisher can give."""
SILENCE_SECONDS = 3.0
"""When nothing has come for so long from a node that is not busy, nothing will."""
PATIENCE_SECONDS = 30.0
"""How long a node that is busy with one frame may be silent at the end."""
SPIN_SECONDS = 0.025
SECOND = 10**9

logger = logging.getLogger(__name__)


class Player:
    """Publishes the cameras of a drive and records every frame and all that the node makes of it.

    ``process`` is the node's where the replay started it; ``factor`` is how many times faster than it was recorded
    the drive is played.
    """

    def __init__(
        self, node: Any, drive: Drive, target: Target, recorder: Recorder, process: NodeProcess | None, factor: float
    ) -> None:
        self._drive = drive
        self._target = target
        self._process = process
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._link = Link(node, drive, target, recorder)
        self._status = NodeStatus(node, target)
        self._clock = DriveClock(node, factor)

    def wait(self) -> None:
        """Until the node is active and everything has matched. Raises NodeError."""
        start = monotonic_ns()
        limit = START_SECONDS if self._process else FIND_SECONDS
        matched_ns: int | None = None
        while matched_ns is None or not self._settled(matched_ns):
            self._spin(0.1)
            if self._process:
                self._process.check()
                if errors := self._process.errors():
                    raise NodeError(errors[0])
            if monotonic_ns() - start > limit * SECOND:
                raise NodeError(f"the node {self._target.name} was not active and matched within {limit:.0f} s")
            # the counts before the drive are needed too
            matched = self._link.matched() and len(self._status.counts()) == len(self._drive.cameras)
            matched_ns = (matched_ns or monotonic_ns()) if matched else None

    def _settled(self, matched_ns: int) -> bool:
        return self._link.reliable() or monotonic_ns() - matched_ns > SETTLE_SECONDS * SECOND

    def play(self) -> Playback:
        """Send every frame when it is due, then wait for what is still to come.

        Ctrl-C, a node that ends and a drive that cannot be read on end it early; the result says so.
        """
        played = Playback(self._target, self._link.frames)
        before = self._status.counts()
        try:
            self._send_all()
        except KeyboardInterrupt:
            played.interrupted, played.problem = True, "interrupted"
        except (NodeError, SourceError) as error:
            played.problem = str(error)
        if played.problem:
            logger.warning("stopped after %d frames: %s", len(self._link.frames), played.problem)
        try:
            self._drain()
        except NodeError as error:
            played.problem = played.problem or str(error)
        after = self._status.counts()
        played.counts = {camera: after[camera].since(first) for camera, first in before.items() if camera in after}
        played.engine = self._status.engine()
        return played

    def _send_all(self) -> None:
        with tqdm(total=self._drive.length or None, unit="frame", desc="playing") as bar:
            for index, frame in enumerate(prefetch(self._drive.frames())):
                if not index:  # the first frame is read
                    self._clock.start(frame.stamp_ns)
                self._wait_until(self._clock.due_ns(frame.at_ns))
                self._clock.tell()
                self._link.send(index, frame)
                bar.update()

    def _check(self) -> None:
        """Raises NodeError if the node is gone."""
        if self._process:
            self._process.check()
        elif self._link.cut():
            raise NodeError(f"the node {self._target.name} is gone")

    def _wait_until(self, due_ns: int) -> None:
        self._check()
        self._catch_up()
        while (left := due_ns - monotonic_ns()) > 0:
            self._clock.tell()
            self._spin(min(left / SECOND, SPIN_SECONDS))

    def _catch_up(self) -> None:
        """Take all that has come: a replay that is late must not leave masks waiting as well."""
        before = -1
        while before != (received := self._link.received + self._status.received):
            before = received
            self._spin(0)

    def _drain(self) -> None:
        """Wait for the masks that are still to come. Of a frame that the node dropped none comes: a node that says
        nothing and is not busy has no more."""
        while not self._link.answered() and self._quiet() < PATIENCE_SECONDS:
            if self._quiet() > SILENCE_SECONDS and not self._status.busy():
                break
            self._spin_on()
        while self._quiet() < 0.5:  # confidence, coverage and timing follow the mask
            self._spin_on()
        end = monotonic_ns()
        while self._status.received_ns <= end and monotonic_ns() - end < SILENCE_SECONDS * SECOND:
            self._spin_on()  # the node's counts come once a second

    def _spin_on(self) -> None:
        self._check()
        self._clock.tell()
        self._spin(SPIN_SECONDS)

    def _quiet(self) -> float:
        return (monotonic_ns() - self._link.last_ns) / SECOND

    def _spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

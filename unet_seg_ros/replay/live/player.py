"""Plays a drive to the node: sends each frame when it is due, and waits for the masks."""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from tqdm import tqdm

from unet_seg_ros.replay.errors import NodeError, SourceError
from unet_seg_ros.replay.live.connection import Connection
from unet_seg_ros.replay.live.drive_clock import DriveClock
from unet_seg_ros.replay.live.node_process import NodeProcess
from unet_seg_ros.replay.live.node_status import FIND_SECONDS, NodeStatus
from unet_seg_ros.replay.live.played_drive import PlayedDrive
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.source.prefetch import prefetch
from unet_seg_ros.replay.topics import Target

START_SECONDS = 180.0
"""Seconds that the node may take to load PyTorch and the model."""
SETTLE_SECONDS = 5.0
"""Seconds to wait for a reliable input subscription. The node starts with best effort."""
SILENCE_SECONDS = 3.0
"""After this many seconds without a message from a node that is not busy, no more will arrive."""
PATIENCE_SECONDS = 30.0
"""Seconds that a node that is busy with a frame may be silent at the end."""
SPIN_SECONDS = 0.025
SECOND = 10**9

logger = logging.getLogger(__name__)


class Player:
    """Publishes the images of a drive and records them and the node's outputs.

    ``process`` is the node's process if the replay started it. The drive is played ``factor`` times as fast as it was
    recorded.
    """

    def __init__(
        self, node: Any, drive: Drive, target: Target, recorder: Recorder, process: NodeProcess | None, factor: float
    ) -> None:
        self._drive = drive
        self._target = target
        self._process = process
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._connection = Connection(node, drive, target, recorder)
        self._status = NodeStatus(node, target)
        self._clock = DriveClock(node, factor)

    def wait(self) -> None:
        """Wait until the node is active and connected to all topics. Raises NodeError."""
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
                raise NodeError(
                    f"the node {self._target.name} was not active and connected to all topics within {limit:.0f} s"
                )
            # the counts from before the drive are needed too
            matched = self._connection.matched() and len(self._status.counts()) == len(self._drive.cameras)
            matched_ns = (matched_ns or monotonic_ns()) if matched else None

    def _settled(self, matched_ns: int) -> bool:
        return self._connection.reliable() or monotonic_ns() - matched_ns > SETTLE_SECONDS * SECOND

    def play(self) -> PlayedDrive:
        """Send every frame when it is due, then wait for the last masks.

        Ctrl-C, the end of the node and a read error end it early; the result says so.
        """
        played = PlayedDrive(self._target, self._connection.frames)
        before = self._status.counts()
        try:
            self._send_all()
        except KeyboardInterrupt:
            played.interrupted, played.problem = True, "interrupted"
        except (NodeError, SourceError) as error:
            played.problem = str(error)
        if played.problem:
            logger.warning("stopped after %d frames: %s", len(self._connection.frames), played.problem)
        try:
            self._drain()
        except KeyboardInterrupt:
            played.interrupted, played.problem = True, played.problem or "interrupted"
        except NodeError as error:
            played.problem = played.problem or str(error)
        after = self._status.counts()
        played.counts = {camera: after[camera].since(first) for camera, first in before.items() if camera in after}
        played.engine, played.palette = self._status.engine(), self._connection.palette
        return played

    def _send_all(self) -> None:
        with tqdm(total=self._drive.length or None, unit="frame", desc="playing") as bar:
            for index, frame in enumerate(prefetch(self._drive.frames())):
                if not index:  # the first frame has been read
                    self._clock.start(frame.stamp_ns)
                self._wait_until(self._clock.due_ns(frame.at_ns))
                self._clock.publish()
                self._connection.send(index, frame)
                bar.update()

    def _check(self) -> None:
        """Raises NodeError if the node does not run any more."""
        if self._process:
            self._process.check()
        elif self._connection.cut():
            raise NodeError(f"the node {self._target.name} has ended")

    def _wait_until(self, due_ns: int) -> None:
        self._check()
        self._catch_up()
        while (left := due_ns - monotonic_ns()) > 0:
            self._clock.publish()
            self._spin(min(left / SECOND, SPIN_SECONDS))

    def _catch_up(self) -> None:
        """Receive all waiting messages, so that a late replay does not also measure masks too late."""
        before = -1
        while before != (received := self._connection.received + self._status.received):
            before = received
            self._spin(0)

    def _drain(self) -> None:
        """Wait for the last masks. A dropped frame has no mask, so the wait ends when the node is silent and not
        busy."""
        while not self._connection.answered() and self._quiet() < PATIENCE_SECONDS:
            if self._quiet() > SILENCE_SECONDS and not self._status.busy():
                break
            self._spin_on()
        while self._quiet() < 0.5:  # confidence, coverage and timing arrive after the mask
            self._spin_on()
        end = monotonic_ns()
        while self._status.received_ns <= end and monotonic_ns() - end < SILENCE_SECONDS * SECOND:
            self._spin_on()  # the node's counts come once a second

    def _spin_on(self) -> None:
        self._check()
        self._clock.publish()
        self._spin(SPIN_SECONDS)

    def _quiet(self) -> float:
        return (monotonic_ns() - self._connection.last_ns) / SECOND

    def _spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

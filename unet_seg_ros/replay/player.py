"""The DDS side: plays a drive to the node at its real rate and takes what comes back. Only this file needs rclpy."""

from __future__ import annotations

import functools
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic_ns

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from tqdm import tqdm

from unet_seg_msgs.msg import ClassCoverage
from unet_seg_ros.replay.drive import COMPRESSED_IMAGE, IMAGE, TYPES, Drive, Frame
from unet_seg_ros.replay.node_process import NodeError, NodeProcess
from unet_seg_ros.replay.playback import CLASS_COVERAGE, OUTPUTS, Playback, Sent, output_topic
from unet_seg_ros.replay.prefetch import prefetch
from unet_seg_ros.replay.recorder import Recorder
from unet_seg_ros.ros.bringup import NODE_NAME, Bringup

ROS_TYPES = {IMAGE: Image, COMPRESSED_IMAGE: CompressedImage, CLASS_COVERAGE: ClassCoverage}
START_SECONDS = 180.0
"""How long the node may take to load PyTorch and the model."""
SETTLE_SECONDS = 5.0
"""How long to wait for a reliable input subscription: the node first takes what every publisher can give."""
SILENCE_SECONDS = 3.0
"""When nothing has come for so long from a node that is not busy, nothing will."""
PATIENCE_SECONDS = 30.0
"""How long a node that is busy with one frame may be silent at the end."""
SECOND = 10**9


def isolate(plan: Bringup) -> None:
    """Set this process's environment, which the node inherits, so that a replay never talks to a car: a domain of its
    own, this machine only; and give its publishers the plan's profile. To be called before ``connected``."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randrange(1, 102))  # 0 is what a car has by default
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":  # which does not know the range; later ones deprecate this
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ.update(plan.environment)


@contextmanager
def connected(drive: Drive, recorder: Recorder) -> Iterator[Player]:
    """A player for the drive; ROS is shut down at the end of the block."""
    # Ctrl-C stays Python's own, so that it can end the drive and not the summary
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        player = Player(drive, recorder)
        yield player
        player.close()
    finally:
        rclpy.try_shutdown()


class Player:
    """Publishes the cameras of a drive and records every frame, mask, overlay and coverage."""

    def __init__(self, drive: Drive, recorder: Recorder) -> None:
        self._drive = drive
        self._recorder = recorder
        self._node = rclpy.create_node("replay")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._frames: list[Sent] = []
        self._open: dict[tuple[str, int], Sent] = {}  # by camera and stamp: sent and not answered
        self._status: dict[str, dict[str, str]] = {}
        self._status_ns = 0
        self._taken = 0  # messages received
        self._last_ns = 0  # when something was last sent or received
        # depth 1, as the node's: an old frame that waits to be sent again would hold up the new ones
        offered = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        wanted = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers = {
            camera: self._node.create_publisher(ROS_TYPES[drive.message_type], drive.topic(camera), offered)
            for camera in drive.cameras
        }
        # raw: the serialised bytes go to the bag as they are, and only the stamp is looked at
        self._subscriptions = [
            self._node.create_subscription(
                ROS_TYPES[kind],
                output_topic(camera, output),
                functools.partial(self._receive, camera, output),
                wanted,
                raw=True,
            )
            for camera in drive.cameras
            for output, kind in OUTPUTS.items()
        ]
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)

    def close(self) -> None:
        """Take the player off the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_for(self, process: NodeProcess) -> None:
        """Until the node is active and everything has matched. Raises NodeError."""
        start = monotonic_ns()
        matched_ns: int | None = None
        while matched_ns is None or not self._settled(matched_ns):
            self._spin(0.1)
            process.check()
            if errors := process.errors():
                raise NodeError(errors[0])
            if monotonic_ns() - start > START_SECONDS * SECOND:
                raise NodeError(f"the node was not active and matched within {START_SECONDS:.0f} s")
            matched_ns = (matched_ns or monotonic_ns()) if self._matched() else None

    def _matched(self) -> bool:
        """The node subscribes to its cameras when it becomes active."""
        return all(publisher.get_subscription_count() for publisher in self._publishers.values()) and all(
            subscription.get_publisher_count() for subscription in self._subscriptions
        )

    def _settled(self, matched_ns: int) -> bool:
        infos = [
            info
            for publisher in self._publishers.values()
            for info in self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        ]
        reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in infos)
        return reliable or monotonic_ns() - matched_ns > SETTLE_SECONDS * SECOND

    def play(self, process: NodeProcess) -> Playback:
        """Send every frame when it is due, then wait for what is still to come. Ctrl-C ends the drive early.

        Raises NodeError if the node dies, SourceError where the drive can't be read.
        """
        start: int | None = None
        with tqdm(total=self._drive.length or None, unit="frame", desc="playing") as bar:
            try:
                for frame in prefetch(self._drive.frames()):
                    start = start or monotonic_ns()  # the first frame is read
                    self._wait_until(start + frame.at_ns, process)
                    self._send(frame)
                    bar.update()
            except KeyboardInterrupt:
                bar.write("stopped; summing up what was played")
        self._drain(process)
        cameras = {camera: self._camera_status(camera) for camera in self._drive.cameras}
        return Playback(self._frames, cameras, self._status.get(f"{NODE_NAME}: engine", {}))

    def _wait_until(self, due_ns: int, process: NodeProcess) -> None:
        process.check()
        self._catch_up()
        while (left := due_ns - monotonic_ns()) > 0:
            self._spin(min(left / SECOND, 0.1))

    def _catch_up(self) -> None:
        """Take all that has come: a replay that is late must not leave masks waiting as well."""
        taken = -1
        while taken != self._taken:
            taken = self._taken
            self._spin(0)

    def _send(self, frame: Frame) -> None:
        cdr = bytes(TYPES.serialize_cdr(frame.message, self._drive.message_type))
        self._last_ns = monotonic_ns()
        sent = Sent(frame.camera, frame.stamp_ns, frame.at_ns, self._last_ns, frame.label)
        self._frames.append(sent)
        self._open[frame.camera, frame.stamp_ns] = sent
        self._publishers[frame.camera].publish(cdr)
        self._recorder.write(self._drive.topic(frame.camera), self._drive.message_type, frame.stamp_ns, cdr)

    def _receive(self, camera: str, output: str, cdr: bytes) -> None:
        self._last_ns = monotonic_ns()
        self._taken += 1
        # every output begins with a header: after four bytes of CDR's own, its stamp
        seconds, nanoseconds = struct.unpack_from("<iI", cdr, 4)
        stamp_ns = seconds * SECOND + nanoseconds
        if output == "mask" and (sent := self._open.pop((camera, stamp_ns), None)):
            sent.received_ns = self._last_ns
        self._recorder.write(output_topic(camera, output), OUTPUTS[output], stamp_ns, cdr)

    def _diagnose(self, message: DiagnosticArray) -> None:
        self._status_ns = monotonic_ns()
        self._taken += 1
        for status in message.status:
            self._status[status.name] = {pair.key: pair.value for pair in status.values}

    def _drain(self, process: NodeProcess) -> None:
        """Wait for the masks that are still to come. They come in the order of the frames, so once a camera's last
        frame is answered no other is; if it is not, because the node dropped it, silence tells."""
        last = {sent.camera: sent for sent in self._frames}
        while any(sent.received_ns is None for sent in last.values()) and self._quiet() < PATIENCE_SECONDS:
            if self._quiet() > SILENCE_SECONDS and not self._busy():
                break
            self._spin(0.1)
            process.check()
        while self._quiet() < 0.5:  # overlay and coverage follow the mask
            self._spin(0.1)
        end = monotonic_ns()
        while self._status_ns <= end and monotonic_ns() - end < SILENCE_SECONDS * SECOND:
            self._spin(0.1)  # the node's counts come once a second

    def _busy(self) -> bool:
        """Whether the node says that it has a frame which it has neither segmented nor dropped."""
        counts = [self._camera_status(camera) for camera in self._drive.cameras]
        return any(int(c["received"]) > int(c["processed"]) + int(c["dropped"]) for c in counts if c)

    def _camera_status(self, camera: str) -> dict[str, str]:
        return self._status.get(f"{NODE_NAME}: camera {camera}", {})

    def _quiet(self) -> float:
        return (monotonic_ns() - self._last_ns) / SECOND

    def _spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

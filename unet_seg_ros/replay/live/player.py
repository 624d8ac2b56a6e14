"""The DDS side: plays a drive to the node and takes what comes back. Only this file of the replay needs rclpy."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic_ns
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from tqdm import tqdm

from unet_seg_msgs.msg import ClassCoverage, FrameTiming
from unet_seg_ros.replay.live.node_process import NodeError, NodeProcess
from unet_seg_ros.replay.live.playback import CLASS_COVERAGE, FRAME_TIMING, RECORDED, Counts, Playback, Sent, Target
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import COMPRESSED_IMAGE, IMAGE, TYPES, Drive, Frame, SourceError, header_stamp
from unet_seg_ros.replay.source.prefetch import prefetch
from unet_seg_ros.ros.bringup import Bringup
from unet_seg_ros.vocabulary import CAMERA_TASK, ENGINE_TASK, NODE_STAGES, TOPIC

ROS_TYPES = {
    IMAGE: Image,
    COMPRESSED_IMAGE: CompressedImage,
    CLASS_COVERAGE: ClassCoverage,
    FRAME_TIMING: FrameTiming,
}
START_SECONDS = 180.0
"""How long the node may take to load PyTorch and the model."""
FIND_SECONDS = 15.0
"""How long to look for a node that should be running."""
SETTLE_SECONDS = 5.0
"""How long to wait for a reliable input subscription: the node first takes what every publisher can give."""
SILENCE_SECONDS = 3.0
"""When nothing has come for so long from a node that is not busy, nothing will."""
PATIENCE_SECONDS = 30.0
"""How long a node that is busy with one frame may be silent at the end."""
CLOCK_SECONDS = 0.025
"""Between two messages on /clock, as ``ros2 bag play --clock`` has it."""
SECOND = 10**9
RELIABLE = ReliabilityPolicy.RELIABLE


def isolate(plan: Bringup) -> None:
    """Set this process's environment, which the node inherits, so that a replay never talks to a car: a domain of its
    own, this machine only; and give its publishers the plan's profile. To be called before ``on_the_graph``."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randrange(1, 102))  # 0 is what a car has by default
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":  # which does not know the range; later ones deprecate this
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ.update(plan.environment)


@contextmanager
def on_the_graph() -> Iterator[Any]:
    """A ROS node for the replay; ROS is shut down at the end of the block."""
    # Ctrl-C stays Python's own, so that it can end the drive and not the report
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("replay")
        yield node
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def find_node(node: Any, name: str, drive: Drive) -> Target:
    """The running node ``name``, such as /segmentation, by its diagnostics. Raises NodeError where it isn't there or
    does not take the drive's topics."""
    name, topics, seen = f"/{name.strip('/')}", dict[str, str](), set[str]()

    def diagnose(message: DiagnosticArray) -> None:
        for status in message.status:
            owner, _, camera = status.name.partition(f": {CAMERA_TASK}")
            if camera:
                seen.add(f"/{owner}")
                if f"/{owner}" == name:
                    topics.update({pair.value: camera for pair in status.values if pair.key == TOPIC})

    subscription = node.create_subscription(DiagnosticArray, "/diagnostics", diagnose, 10)
    end = monotonic_ns() + FIND_SECONDS * SECOND
    while not topics and monotonic_ns() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_subscription(subscription)
    if not topics:
        others = f"; there is {', '.join(sorted(seen))}" if seen else "; is it configured, and on this ROS_DOMAIN_ID?"
        raise NodeError(f"no camera of a node {name} was heard of on /diagnostics within {FIND_SECONDS:.0f} s{others}")
    missing = [drive.topic(camera) for camera in drive.cameras if drive.topic(camera) not in topics]
    if missing:
        raise NodeError(f"{name} takes {', '.join(topics)}, the drive has {', '.join(missing)}")
    return Target(name, {camera: topics[drive.topic(camera)] for camera in drive.cameras})


class Player:
    """Publishes the cameras of a drive and records every frame, mask, confidence and coverage.

    ``process`` is the node's where the replay started it; ``factor`` is how many times faster than it was recorded
    the drive is played.
    """

    def __init__(
        self, node: Any, drive: Drive, target: Target, recorder: Recorder, process: NodeProcess | None, factor: float
    ) -> None:
        self._node = node
        self._drive = drive
        self._target = target
        self._recorder = recorder
        self._process = process
        self._factor = factor
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._frames: list[Sent] = []
        self._by_stamp: dict[tuple[str, int], list[Sent]] = {}  # more than one where a stamp is repeated
        self._status: dict[str, dict[str, str]] = {}
        self._status_ns = 0
        self._taken = 0  # messages received
        self._last_ns = 0  # when something was last sent or received
        # depth 1, as the node's: an old frame that waits to be sent again would hold up the new ones
        offered, wanted = QoSProfile(depth=1, reliability=RELIABLE), QoSProfile(depth=50, reliability=RELIABLE)
        self._publishers = {
            camera: node.create_publisher(ROS_TYPES[drive.message_type], drive.topic(camera), offered)
            for camera in drive.cameras
        }
        # raw: the serialised bytes go to the bag as they are, and only the stamp is looked at
        self._subscriptions = [
            node.create_subscription(
                ROS_TYPES[kind],
                target.topic(camera, output),
                functools.partial(self._receive, camera, output),
                wanted,
                raw=True,
            )
            for camera in drive.cameras
            for output, kind in RECORDED.items()
        ]
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        has_clock = node.count_publishers("/clock")  # two clocks would make time jump
        self._clock = None if has_clock else node.create_publisher(Clock, "/clock", 1)
        self._clock_ns = 0  # when the clock was last told
        self._start_ns = self._first_stamp_ns = 0

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
            matched_ns = (matched_ns or monotonic_ns()) if self._matched() else None

    def _matched(self) -> bool:
        """The node subscribes to its cameras when it becomes active; its counts before the drive are needed too."""
        return (
            all(publisher.get_subscription_count() for publisher in self._publishers.values())
            and all(subscription.get_publisher_count() for subscription in self._subscriptions)
            and all(self._counts(camera) for camera in self._drive.cameras)
        )

    def _settled(self, matched_ns: int) -> bool:
        infos = [
            info
            for publisher in self._publishers.values()
            for info in self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        ]
        reliable = all(info.qos_profile.reliability == RELIABLE for info in infos)
        return reliable or monotonic_ns() - matched_ns > SETTLE_SECONDS * SECOND

    def play(self) -> Playback:
        """Send every frame when it is due, then wait for what is still to come.

        Ctrl-C, a node that dies and a drive that can't be read on end it early, and it says so.
        """
        played = Playback(self._target, self._frames)
        before = {camera: self._counts(camera) for camera in self._drive.cameras}
        with tqdm(total=self._drive.length or None, unit="frame", desc="playing") as bar:
            try:
                for index, frame in enumerate(prefetch(self._drive.frames())):
                    if not index:  # the first frame is read
                        self._start_ns, self._first_stamp_ns = monotonic_ns(), frame.stamp_ns
                    self._wait_until(self._start_ns + round(frame.at_ns / self._factor))
                    self._send(index, frame)
                    bar.update()
            except KeyboardInterrupt:
                played.interrupted, played.problem = True, "interrupted"
            except (NodeError, SourceError) as error:
                played.problem = str(error)
        if played.problem:
            print(f"stopped after {len(self._frames)} frames: {played.problem}", flush=True)
        try:
            self._drain()
        except NodeError as error:
            played.problem = played.problem or str(error)
        for camera, first in before.items():
            if first and (last := self._counts(camera)):
                played.counts[camera] = last.since(first)
        played.engine = self._status.get(f"{self._target.name[1:]}: {ENGINE_TASK}", {})
        return played

    def _check(self) -> None:
        """Raises NodeError if the node is gone."""
        if self._process:
            self._process.check()
        elif not any(subscription.get_publisher_count() for subscription in self._subscriptions):
            raise NodeError(f"the node {self._target.name} is gone")

    def _wait_until(self, due_ns: int) -> None:
        self._check()
        self._catch_up()
        while (left := due_ns - monotonic_ns()) > 0:
            self._tell_time()
            self._spin(min(left / SECOND, CLOCK_SECONDS))

    def _catch_up(self) -> None:
        """Take all that has come: a replay that is late must not leave masks waiting as well."""
        taken = -1
        while taken != self._taken:
            taken = self._taken
            self._spin(0)

    def _tell_time(self) -> None:
        """The drive's time: the first frame's stamp and what has passed since, as fast as the drive is played."""
        now = monotonic_ns()
        if self._clock and now - self._clock_ns >= CLOCK_SECONDS * SECOND:
            self._clock_ns = now
            time_ns = max(0, self._first_stamp_ns + round((now - self._start_ns) * self._factor))
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, SECOND)
            self._clock.publish(message)

    def _send(self, index: int, frame: Frame) -> None:
        cdr = bytes(TYPES.serialize_cdr(frame.message, self._drive.message_type))
        self._tell_time()
        self._last_ns = monotonic_ns()
        sent = Sent(frame.camera, index, frame.stamp_ns, frame.at_ns, self._last_ns, frame.label)
        sent.problem, sent.note = frame.problem, frame.note
        self._frames.append(sent)
        same = self._by_stamp.setdefault((frame.camera, frame.stamp_ns), [])
        same.append(sent)
        for one in same:
            one.repeated = len(same) > 1
        self._publishers[frame.camera].publish(cdr)
        self._recorder.write(self._drive.topic(frame.camera), self._drive.message_type, frame.stamp_ns, cdr)

    def _receive(self, camera: str, output: str, cdr: bytes) -> None:
        self._last_ns = monotonic_ns()
        self._taken += 1
        stamp_ns = header_stamp(cdr, self._last_ns)
        if output == "mask":
            for sent in self._by_stamp.get((camera, stamp_ns), []):
                if sent.received_ns is None:
                    sent.received_ns = self._last_ns
                    break
        elif output == "timing":
            message = deserialize_message(cdr, FrameTiming)
            for sent in self._by_stamp.get((camera, stamp_ns), []):
                sent.stages = None if sent.repeated else {name: getattr(message, name) for name in NODE_STAGES}
        self._recorder.write(self._target.topic(camera, output), RECORDED[output], stamp_ns, cdr)

    def _diagnose(self, message: DiagnosticArray) -> None:
        self._status_ns = monotonic_ns()
        self._taken += 1
        for status in message.status:
            self._status[status.name] = {pair.key: pair.value for pair in status.values}

    def _drain(self) -> None:
        """Wait for the masks that are still to come. They come in the order of the frames, so once a camera's last
        frame is answered no other is; if it is not, because the node dropped it, silence tells."""
        last = {sent.camera: sent for sent in self._frames}
        while any(sent.received_ns is None for sent in last.values()) and self._quiet() < PATIENCE_SECONDS:
            if self._quiet() > SILENCE_SECONDS and not self._busy():
                break
            self._spin_on()
        while self._quiet() < 0.5:  # confidence and coverage follow the mask
            self._spin_on()
        end = monotonic_ns()
        while self._status_ns <= end and monotonic_ns() - end < SILENCE_SECONDS * SECOND:
            self._spin_on()  # the node's counts come once a second

    def _spin_on(self) -> None:
        self._check()
        self._tell_time()
        self._spin(CLOCK_SECONDS)

    def _busy(self) -> bool:
        """Whether the node says that it has a frame which it has neither segmented nor dropped."""
        counts = [self._counts(camera) for camera in self._drive.cameras]
        return any(c.received > c.processed + sum(c.dropped.values()) for c in counts if c)

    def _counts(self, camera: str) -> Counts | None:
        values = self._status.get(f"{self._target.name[1:]}: {CAMERA_TASK}{self._target.cameras[camera]}")
        return Counts.of(values) if values else None

    def _quiet(self) -> float:
        return (monotonic_ns() - self._last_ns) / SECOND

    def _spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

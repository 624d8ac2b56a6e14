"""The connection between the replay and the node: sends images, receives outputs, and records both."""

from __future__ import annotations

import functools
from collections import deque
from time import monotonic_ns
from typing import Any

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from unet_seg_msgs.msg import CameraHealth, ClassCoverage, ClassTable, FrameTiming
from unet_seg_ros.data.labels import palette
from unet_seg_ros.health.trust import Health, Level
from unet_seg_ros.replay.live.played_drive import Sent
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import TYPES, Array, Drive, DriveFrame, header_stamp
from unet_seg_ros.replay.topics import (
    CAMERA_HEALTH,
    CLASS_COVERAGE,
    COMPRESSED_IMAGE,
    FRAME_TIMING,
    IMAGE,
    RECORDED,
    Target,
)
from unet_seg_ros.text import VALUE, one_line
from unet_seg_ros.vocabulary import NODE_STAGES

RELIABLE = ReliabilityPolicy.RELIABLE
ROS_TYPES = {
    IMAGE: Image,
    COMPRESSED_IMAGE: CompressedImage,
    CLASS_COVERAGE: ClassCoverage,
    FRAME_TIMING: FrameTiming,
    CAMERA_HEALTH: CameraHealth,
}


class Connection:
    """Sends and receives. ``frames`` are the sent frames with their results."""

    def __init__(self, node: Any, drive: Drive, target: Target, recorder: Recorder) -> None:
        self.frames: list[Sent] = []
        self.received = 0
        """Number of messages from the node."""
        self.last_ns = 0
        """Time of the last sent or received message, by ``time.monotonic_ns``."""
        self.palette = palette()
        """Colours of the classes, uint8[256, 3] RGB by class id: those of Cityscapes until the node sends its own."""
        self._node = node
        self._drive = drive
        self._target = target
        self._recorder = recorder
        self._first: dict[tuple[str, int], Sent] = {}
        """The first frame of each camera and stamp. Results of frames that share a stamp cannot be told apart."""
        self._unanswered: dict[tuple[str, int], deque[Sent]] = {}
        """The frames of each camera and stamp whose masks have not arrived."""
        # depth 1, as in the node: an old frame that waits to be sent again would delay new ones
        offered, wanted = QoSProfile(depth=1, reliability=RELIABLE), QoSProfile(depth=50, reliability=RELIABLE)
        kind = ROS_TYPES[drive.message_type]
        self._publishers = {c: node.create_publisher(kind, drive.topic(c), offered) for c in drive.cameras}
        self._subscriptions = [
            self._subscribed(camera, output, wanted) for camera in drive.cameras for output in RECORDED
        ]
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        classes = target.topic(next(iter(drive.cameras)), "classes")
        self._classes = node.create_subscription(ClassTable, classes, self._take_classes, latched)

    def _subscribed(self, camera: str, output: str, qos: QoSProfile) -> Any:
        """Subscribe to serialised bytes, which are recorded unchanged; only the stamp is read."""
        take = functools.partial(self._receive, camera, output)
        topic = self._target.topic(camera, output)
        return self._node.create_subscription(ROS_TYPES[RECORDED[output]], topic, take, qos, raw=True)

    def matched(self) -> bool:
        """Whether the node subscribes to every camera and publishes every output. It subscribes when it becomes
        active."""
        taken = all(publisher.get_subscription_count() for publisher in self._publishers.values())
        return taken and all(subscription.get_publisher_count() for subscription in self._subscriptions)

    def reliable(self) -> bool:
        """Whether all image subscriptions are reliable."""
        topics = [publisher.topic_name for publisher in self._publishers.values()]
        infos = [info for topic in topics for info in self._node.get_subscriptions_info_by_topic(topic)]
        return all(info.qos_profile.reliability == RELIABLE for info in infos)

    def cut(self) -> bool:
        """Whether nobody publishes any of the outputs."""
        return not any(subscription.get_publisher_count() for subscription in self._subscriptions)

    def send(self, index: int, frame: DriveFrame) -> None:
        """Publish and record a frame."""
        cdr = bytes(TYPES.serialize_cdr(frame.message, self._drive.message_type))
        self.last_ns = monotonic_ns()
        sent = Sent(frame.camera, index, frame.stamp_ns, frame.at_ns, self.last_ns, frame.label)
        sent.problem, sent.note = frame.problem, frame.note
        self.frames.append(sent)
        first = self._first.setdefault((frame.camera, frame.stamp_ns), sent)
        first.repeated = sent.repeated = first is not sent
        self._unanswered.setdefault((frame.camera, frame.stamp_ns), deque()).append(sent)
        self._publishers[frame.camera].publish(cdr)
        self._recorder.write(self._drive.topic(frame.camera), self._drive.message_type, frame.stamp_ns, cdr)

    def _receive(self, camera: str, output: str, cdr: bytes) -> None:
        self.last_ns = monotonic_ns()
        self.received += 1
        stamp_ns = header_stamp(cdr, self.last_ns)
        first = self._first.get((camera, stamp_ns))
        if output == "mask" and (waiting := self._unanswered.get((camera, stamp_ns))):
            waiting.popleft().received_ns = self.last_ns
        elif output == "timing" and first:
            message = deserialize_message(cdr, FrameTiming)
            first.stages = None if first.repeated else {name: getattr(message, name) for name in NODE_STAGES}
        elif output == "health" and first:
            first.health = None if first.repeated else health_of(deserialize_message(cdr, CameraHealth))
        self._recorder.write(self._target.topic(camera, output), RECORDED[output], stamp_ns, cdr)

    def _take_classes(self, message: Any) -> None:
        self.palette = palette_of(message)

    def answered(self) -> bool:
        """Whether the mask of every camera's last frame has arrived. Masks arrive in the order of the frames."""
        return all(sent.received_ns is not None for sent in {sent.camera: sent for sent in self.frames}.values())


def palette_of(message: Any) -> Array:
    """The colours of a ClassTable, uint8[256, 3] RGB by class id; those of Cityscapes if the numbers of ids and colours
    differ."""
    ids, colors = (np.asarray(values, np.uint8) for values in (message.ids, message.colors))
    if colors.size != 3 * ids.size:
        return palette()
    table = np.zeros((256, 3), np.uint8)
    table[ids] = colors.reshape(-1, 3)
    return table


MOST_FLAGS = 20
"""Largest number of flags of a frame that are kept."""


def health_of(message: Any) -> Health | None:
    """The health in a CameraHealth message, with shortened texts and without the signals, which are in the recording;
    None if its trust is not 0..1."""
    if not 0 <= message.trust <= 1:
        return None
    flags = tuple(one_line(flag, VALUE) for flag in message.flags[:MOST_FLAGS])
    level = Level(min(message.level, Level.BLIND))
    return Health(level, message.trust, flags, one_line(message.reason), {}, {})

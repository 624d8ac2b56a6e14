"""Sends frames to the node over DDS from another process, receives the masks, and measures the time.

Frames are serialised before the time starts; only their stamps are written when they are sent. Masks are received as
bytes. The rest of the client's work, copying frames into shared memory and masks out of it, is part of the measured
time.
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from benchmarks.engines import Frame
from unet_seg_msgs.msg import FrameTiming
from unet_seg_ros.data.ros_images import fill
from unet_seg_ros.replay.source.drive import header_stamp
from unet_seg_ros.ros.bringup import NODE_NAME
from unet_seg_ros.vocabulary import NODE_STAGES

RELIABLE = ReliabilityPolicy.RELIABLE
STAMP = 4
"""Position of the stamp in a serialised message: after the four bytes of the CDR header."""
SILENCE = 2.0
"""After this many seconds without an answer, no more answers are expected."""
START = 120.0
"""Seconds that the node may take to become active."""
SETTLE = 5.0
"""Seconds that the node may take to subscribe reliably. It checks the publishers' QoS once a second."""


@dataclass
class Answers:
    """The answers to ``sent`` frames, which were sent at ``rate`` Hz (measured): ``latencies`` in seconds from
    publishing a frame to receiving its mask, and the node's own seconds by stage."""

    sent: int
    rate: float
    latencies: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)

    @property
    def dropped(self) -> float:
        """The share of the frames without a mask."""
        return 1 - len(self.latencies) / self.sent


def topic(camera: str) -> str:
    """The topic of a camera's images."""
    return f"/benchmark/{camera}/image"


def serialised(frame: Frame, transport: str) -> bytearray:
    """Serialise a frame uint8[H, W, 3] as an ``Image``, or as a ``CompressedImage`` with a JPEG of quality 90."""
    if transport == "raw":
        message = Image()
        fill(message, frame)
    else:
        message = CompressedImage(format="jpeg")
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        message.data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    message.header.frame_id = "camera"
    return bytearray(serialize_message(message))


class Client:
    """Sends ``frames`` in turn for each of ``cameras``. It must be made before the node starts."""

    def __init__(self, node: Any, cameras: Sequence[str], frames: Sequence[Frame], transport: str) -> None:
        self._node = node
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._messages = [serialised(frame, transport) for frame in frames]
        kind, end = (Image, "") if transport == "raw" else (CompressedImage, "/compressed")
        offered, wanted = QoSProfile(depth=1, reliability=RELIABLE), QoSProfile(depth=50, reliability=RELIABLE)
        self._publishers = {name: node.create_publisher(kind, topic(name) + end, offered) for name in cameras}
        self._subscriptions = []
        for name in cameras:
            take = functools.partial(self._take, name)
            masks = node.create_subscription(Image, f"/{NODE_NAME}/{name}/mask", take, wanted, raw=True)
            self._subscriptions.append(masks)
        node.create_subscription(FrameTiming, f"/{NODE_NAME}/{cameras[0]}/timing", self._told, wanted, raw=True)
        self._state = node.create_client(GetState, f"/{NODE_NAME}/get_state")
        self._waiting: dict[tuple[str, int], float] = {}
        self._answers = Answers(0, 0.0)
        self._received = 0

    def wait_until_active(self) -> None:
        """Wait until the node answers that it is active. Raises TimeoutError."""
        end, asked = time.monotonic() + START, None
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.002)
            if asked is None and self._state.service_is_ready():
                asked = self._state.call_async(GetState.Request())
            if asked is not None and asked.done():
                if asked.result().current_state.label == "active":
                    return
                asked = None
        raise TimeoutError(f"the node was not active within {START:.0f} s")

    def wait_until_matched(self) -> None:
        """Wait until the node subscribes to every camera reliably and its masks are subscribed to. Raises
        TimeoutError."""
        end = time.monotonic() + START
        matched_at = 0.0
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
            if not matched_at and self._matched():
                matched_at = time.monotonic()
            if matched_at and (self._reliable() or time.monotonic() > matched_at + SETTLE):
                return
        raise TimeoutError(f"the node did not subscribe within {START:.0f} s")

    def _matched(self) -> bool:
        taken = all(publisher.get_subscription_count() for publisher in self._publishers.values())
        return taken and all(masks.get_publisher_count() for masks in self._subscriptions)

    def _reliable(self) -> bool:
        names = [publisher.topic_name for publisher in self._publishers.values()]
        infos = [info for name in names for info in self._node.get_subscriptions_info_by_topic(name)]
        return bool(infos) and all(info.qos_profile.reliability == RELIABLE for info in infos)

    def drive(self, rate: float, frames: int) -> Answers:
        """Send this number of frames of each camera, those of all cameras at the same time, ``rate`` times per second,
        and wait for the answers. If the client is late, it sends at once and does not send faster later."""
        self._waiting.clear()
        self._answers = Answers(0, 0.0)
        first = due = time.monotonic()
        for number in range(frames):
            self._spin_until(due)
            began = time.monotonic()
            for camera in self._publishers:
                self._send(camera, self._messages[number % len(self._messages)])
            due = max(due + 1 / rate, began)
        self._answers.rate = (frames - 1) / (began - first) if frames > 1 else rate
        last = time.monotonic()
        while self._waiting and time.monotonic() - last < SILENCE:
            before = self._received
            self._executor.spin_once(timeout_sec=0.05)
            last = time.monotonic() if self._received > before else last
        self._spin_until(time.monotonic() + 0.05)  # the timing arrives after the mask
        return self._answers

    def _spin_until(self, due: float) -> None:
        """Receive all messages that have arrived and that arrive before ``due``."""
        before = -1
        while (left := due - time.monotonic()) > 0 or before != self._received:
            before = self._received
            self._executor.spin_once(timeout_sec=max(0.0, left))

    def _send(self, camera: str, message: bytearray) -> None:
        stamp_ns = time.time_ns()
        struct.pack_into("<iI", message, STAMP, *divmod(stamp_ns, 10**9))
        data = bytes(message)
        self._waiting[camera, stamp_ns] = time.monotonic()
        self._publishers[camera].publish(data)
        self._answers.sent += 1

    def _take(self, camera: str, mask: bytes) -> None:
        now = time.monotonic()
        self._received += 1
        sent = self._waiting.pop((camera, header_stamp(mask, 0)), None)
        if sent is not None:  # else it belongs to an earlier drive
            self._answers.latencies.append(now - sent)

    def _told(self, cdr: bytes) -> None:
        self._received += 1
        message = deserialize_message(cdr, FrameTiming)
        for stage in NODE_STAGES:
            self._answers.stages.setdefault(stage, []).append(getattr(message, stage))

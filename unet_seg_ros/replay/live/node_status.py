"""Reads the node's /diagnostics: whether it runs, what it counted, whether it is busy."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray

from unet_seg_ros.replay.errors import NodeError
from unet_seg_ros.replay.live.played_drive import Counts
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.vocabulary import CAMERA_TASK, ENGINE_TASK, TOPIC

FIND_SECONDS = 15.0
"""Seconds in which a running node must be found."""
SECOND = 10**9


class NodeStatus:
    """The last diagnostics of the node ``target``, received while the replay's own ``node`` is spun."""

    def __init__(self, node: Any, target: Target) -> None:
        self.received = 0
        """Number of messages from any node."""
        self.received_ns = 0
        """Time of the last message, by ``time.monotonic_ns``."""
        self._target = target
        self._values: dict[str, dict[str, str]] = {}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._receive, 10)

    def _receive(self, message: DiagnosticArray) -> None:
        self.received += 1
        self.received_ns = monotonic_ns()
        for status in message.status:
            self._values[status.name] = {pair.key: pair.value for pair in status.values}

    def counts(self) -> dict[str, Counts]:
        """The node's counts by camera of the drive; without cameras that it has not reported yet."""
        prefix = f"{self._target.name[1:]}: {CAMERA_TASK}"
        values = {camera: self._values.get(prefix + own) for camera, own in self._target.cameras.items()}
        return {camera: Counts.of(found) for camera, found in values.items() if found}

    def engine(self) -> dict[str, str]:
        """Names and values of the engine's status; empty if the node has not reported them yet."""
        return self._values.get(f"{self._target.name[1:]}: {ENGINE_TASK}", {})

    def busy(self) -> bool:
        """Whether the node reports a frame that it has neither segmented nor dropped."""
        return any(c.received > c.processed + sum(c.dropped.values()) for c in self.counts().values())


def find_node(node: Any, name: str, drive: Drive) -> Target:
    """Find the running node ``name``, such as /segmentation, by its diagnostics. Raises NodeError if it does not run or
    does not subscribe to the drive's topics."""
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
        others = f"; found {', '.join(sorted(seen))}" if seen else "; configure it, and check its ROS_DOMAIN_ID"
        raise NodeError(f"no camera of the node {name} appeared on /diagnostics within {FIND_SECONDS:.0f} s{others}")
    missing = [drive.topic(camera) for camera in drive.cameras if drive.topic(camera) not in topics]
    if missing:
        raise NodeError(f"{name} subscribes to {', '.join(topics)}, but the drive has {', '.join(missing)}")
    return Target(name, {camera: topics[drive.topic(camera)] for camera in drive.cameras})

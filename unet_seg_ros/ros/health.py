"""One camera's health: a message for each frame, and a report of the last second for the diagnostics."""

from __future__ import annotations

import math
from collections import deque
from threading import Lock

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from unet_seg_msgs.msg import CameraHealth
from unet_seg_ros.data.ros_images import stamp_ns
from unet_seg_ros.health.trust import Health, Level, Monitor
from unet_seg_ros.ros.diagnostic_levels import ERROR, OK, WARN
from unet_seg_ros.ros.diagnostics import Report
from unet_seg_ros.segmenter import Segmentation

LEVELS = {Level.OK: OK, Level.DEGRADED: WARN, Level.BLIND: ERROR}
WELL = {OK: "the image and the mask are normal"}


class HealthPublisher:
    """Judges the frames of a camera and publishes ``~/C/health``, from construction to ``destroy``."""

    def __init__(self, node: Node, camera: str, monitor: Monitor, model_id: str, qos: QoSProfile) -> None:
        self._node = node
        self._camera = camera
        self._model_id = model_id
        self._monitor = monitor
        self._publisher = node.create_publisher(CameraHealth, f"~/{camera}/health", qos)
        self._recent: deque[Health] = deque(maxlen=1000)
        self._lock = Lock()  # the worker judges, the executor's thread reports

    def destroy(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(self, header: Header, seen: Segmentation | Health, age: float) -> Health:
        """Judge a frame and publish its health; ``seen`` is that health where there is no segmentation. ``age`` is in
        seconds."""
        health = seen if isinstance(seen, Health) else self._monitor.look(seen, stamp_ns(header), age)
        with self._lock:
            self._recent.append(health)
        self._publisher.publish(message_of(header, self._model_id, health))
        return health

    def report(self) -> Report:
        """The highest level that at least half of the frames since the last report reach, so that one bad frame gives
        no warning."""
        with self._lock:
            recent = sorted(self._recent, key=lambda health: -health.trust)
            self._recent.clear()
        if not recent:
            return Report(f"health {self._camera}", OK, "no frames in the last second", hardware_id=self._camera)
        middle = recent[len(recent) // 2]
        level = LEVELS[sorted(health.level for health in recent)[len(recent) // 2]]
        values = {"trust": f"{middle.trust:.3f}", "frames": len(recent), "flags": " ".join(middle.flags) or "none"}
        values |= {name: f"{value:.4g}" for name, value in middle.signals.items() if not math.isnan(value)}
        message = WELL.get(level) or middle.reason or recent[-1].reason
        return Report(f"health {self._camera}", level, message, values, hardware_id=self._camera)


def message_of(header: Header, model_id: str, health: Health) -> CameraHealth:
    """The message of a frame's health; ``header`` is the frame's own."""
    return CameraHealth(
        header=header,
        model=model_id,
        level=int(health.level),
        trust=health.trust,
        flags=list(health.flags),
        reason=health.reason,
        signals=list(health.signals),
        values=list(health.signals.values()),
        bounds=[health.bounds[name] for name in health.signals],
    )

"""A client that uses the node over DDS from another process, and the node in its own process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from unet_seg_msgs.msg import ClassCoverage
from unet_seg_ros.data.ros_images import fill

LIMIT = 60.0
"""Seconds after which a test fails. Nothing takes as long, even on a slow machine."""
OUTPUTS = {
    "mask": Image,
    "mask/compressed": CompressedImage,
    "confidence": Image,
    "color": Image,
    "overlay": Image,
    "overlay/compressed": CompressedImage,
    "coverage": ClassCoverage,
}
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


class NodeProcess:
    """The node under test in its own process; what it logs is kept in ``log``."""

    def __init__(self, *ros_args: str, module: str = "unet_seg_ros.ros.node") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--ros-args", "-p", "device:=cpu", *ros_args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line

    def stop(self) -> int:
        """Send SIGINT, as Ctrl-C does, and kill the process if it does not end. Returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Client:
    """Publishes frames, collects outputs, calls services."""

    def __init__(self, cameras: tuple[str, ...], outputs: tuple[str, ...], name: str = "/segmentation") -> None:
        self.name = name
        self.node = rclpy.create_node(f"client_{time.monotonic_ns()}")
        self.got: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self.diagnostics: dict[str, Any] = {}
        qos = QoSProfile(depth=100, reliability=RELIABLE)
        for camera in cameras:
            for output in outputs:
                keep = self.got[camera, output].append
                self.node.create_subscription(OUTPUTS[output], f"{name}/{camera}/{output}", keep, qos)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def close(self) -> None:
        self.node.destroy_node()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name.split(": ")[1]] = status

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Spin until the condition holds; fails with ``what`` if it never does."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"not within {LIMIT} s: {what}"
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def publisher(self, camera: str = "camera", reliability: ReliabilityPolicy = RELIABLE, kind: type = Image) -> Any:
        """A publisher that the node has adapted to. If it is RELIABLE, no message of it is lost."""
        topic = f"{self.name}/{camera}/image{'/compressed' if kind is CompressedImage else ''}"
        publisher = self.node.create_publisher(kind, topic, QoSProfile(depth=10, reliability=reliability))

        def adapted() -> bool:
            offers = self.node.get_subscriptions_info_by_topic(topic)
            return [info.qos_profile.reliability for info in offers] == [reliability]

        self.wait(lambda: adapted() and publisher.get_subscription_count() == 1, "the node subscribes")
        return publisher

    def result(self, camera: str, output: str, sec: int) -> Any:
        """Wait for the output whose stamp is ``sec`` and return it."""
        received = self.got[camera, output]
        self.wait(lambda: any(m.header.stamp.sec == sec for m in received), f"{output} of frame {sec}")
        return next(m for m in received if m.header.stamp.sec == sec)

    def call(self, kind: Any, service: str, request: Any) -> Any:
        client = self.node.create_client(kind, f"{self.name}/{service}")
        self.wait(client.service_is_ready, f"service {service}")
        future = client.call_async(request)
        self.wait(future.done, f"answer of {service}")
        self.node.destroy_client(client)
        return future.result()

    def transition(self, label: str = "", number: int = 0) -> bool:
        request = ChangeState.Request()
        request.transition.label, request.transition.id = label, number
        return bool(self.call(ChangeState, "change_state", request).success)

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        """Whether the node took the parameter, and its reason if not."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self.call(SetParameters, "set_parameters", request).results[0]
        return result.successful, result.reason

    def set_together(self, values: dict[str, Any]) -> tuple[bool, str]:
        """Whether the node took all parameters in one call, and its reason if not."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        result = self.call(SetParametersAtomically, "set_parameters_atomically", request).result
        return result.successful, result.reason

    def diagnostic_values(self, name: str) -> dict[str, str]:
        """A status of ``camera NAME`` or ``engine`` on ``/diagnostics`` that is newer than this call."""
        self.diagnostics.clear()
        self.wait(lambda: name in self.diagnostics, f"diagnostics of {name}")
        return {pair.key: pair.value for pair in self.diagnostics[name].values}

    def camera_values(self, camera: str = "camera") -> dict[str, str]:
        return self.diagnostic_values(f"camera {camera}")


def image(sec: int, pixels: np.ndarray) -> Image:
    """An rgb8 message whose stamp is ``sec`` s and 7 ns."""
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = sec, 7
    message.header.frame_id = "optical"
    fill(message, pixels)
    return message


def noise(seed: int, height: int, width: int) -> np.ndarray:
    """Areas of different colours, so that a random network predicts several classes."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 20), -(-width // 20), 3), np.uint8)
    return np.ascontiguousarray(small.repeat(20, axis=0).repeat(20, axis=1)[:height, :width])


@contextlib.contextmanager
def running(
    *ros_args: str,
    cameras: tuple[str, ...] = ("camera",),
    outputs: tuple[str, ...] = tuple(OUTPUTS),
    module: str = "unet_seg_ros.ros.node",
    node_name: str = "/segmentation",
) -> Iterator[tuple[NodeProcess, Client]]:
    """A node process and a client beside it."""
    node = NodeProcess(*ros_args, module=module)
    client = Client(cameras, outputs, node_name)
    try:
        yield node, client
    finally:
        client.close()
        node.stop()
        print(node.log)

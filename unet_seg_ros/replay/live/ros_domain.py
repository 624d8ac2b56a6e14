"""ROS in the replay's process: its own domain and its node."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions

from unet_seg_ros.ros.bringup import Bringup


def isolate(plan: Bringup) -> None:
    """Set this process's environment, which the node inherits, so that a replay never reaches a car: its own domain,
    this machine only. Its publishers also get the plan's profile. Must be called before ``on_the_graph``."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randrange(1, 102))  # a car has 0 by default
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":  # Humble does not know the range; later versions deprecate this
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ.update(plan.environment)


@contextmanager
def on_the_graph() -> Iterator[Any]:
    """A ROS node for the replay; ROS is shut down at the end of the block."""
    # Python handles Ctrl-C, so that it ends the drive and the report is still written
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("replay")
        yield node
        node.destroy_node()
    finally:
        rclpy.try_shutdown()

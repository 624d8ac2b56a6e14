"""This process on ROS's graph: on a domain of its own, and a node for the replay."""

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

"""The environment that a replay sets before it uses ROS."""

from __future__ import annotations

import os

import pytest

from unet_seg_ros.replay.live.ros_domain import isolate
from unet_seg_ros.ros.bringup import bringup


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a car instead of this process's."""
    car = {"ROS_DOMAIN_ID": "0", "ROS_STATIC_PEERS": "10.0.0.1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    monkeypatch.setattr(os, "environ", car)
    return car


def test_a_replay_never_uses_the_cars_domain(environ: dict[str, str]) -> None:
    plan = bringup({})
    domains = set()
    for _ in range(3000):  # by chance, one of 102 domains would be missing once in 10^12 runs
        isolate(plan)
        domains.add(int(environ["ROS_DOMAIN_ID"]))
    assert domains == set(range(1, 102))
    assert environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_STATIC_PEERS" not in environ
    assert plan.environment.items() <= environ.items()


@pytest.mark.parametrize(("distribution", "set_to"), [("humble", "1"), ("jazzy", None), (None, None)])
def test_a_replay_stays_on_this_machine(environ: dict[str, str], distribution: str | None, set_to: str | None) -> None:
    """Humble does not know the discovery range."""
    if distribution:
        environ["ROS_DISTRO"] = distribution
    isolate(bringup({}))
    assert environ.get("ROS_LOCALHOST_ONLY") == set_to

"""The node under a lifecycle manager in another process."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy

from test.ros.client import running
from test.ros.lifecycle_manager import Manager


@pytest.fixture
def manager() -> Iterator[Manager]:
    made = Manager("segmentation")
    yield made
    made.destroy_node()


def test_a_manager_activates_and_shuts_down_the_node(tiny: Path, manager: Manager) -> None:
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (node, _):
        assert manager.startup()
        assert not manager.startup()  # the answer comes at once, so that a manager that tries again does not wait
        assert manager.shutdown()
        assert "Traceback" not in node.log


def test_with_a_bad_model_the_managers_startup_fails(tmp_path: Path, manager: Manager) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no model")
    with running("-p", f"model:={bad}", "-p", "autostart:=false") as (node, client):
        assert not manager.startup()
        assert client.state() == "unconfigured"
        client.wait(lambda: "cannot configure" in node.log, "the reason")


@pytest.mark.skipif(not importlib.util.find_spec("bond"), reason="bond_core's messages are not installed (no wheels)")
def test_the_bond_exists_while_the_node_is_active(tiny: Path, manager: Manager) -> None:
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (node, client):
        assert manager.startup()
        assert manager.bond(4.0)
        beats = len(manager.heartbeats)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            rclpy.spin_once(manager, timeout_sec=0.05)
        assert len(manager.heartbeats) - beats > 10  # 10 a second
        assert len({beat.instance_id for beat in manager.heartbeats}) == 1
        assert client.transition("deactivate")
        client.spin(0.5)
        while manager.heartbeats[-1].active:
            rclpy.spin_once(manager, timeout_sec=1.0)
        after = len(manager.heartbeats)
        rclpy.spin_once(manager, timeout_sec=1.0)
        assert len(manager.heartbeats) == after
        assert client.transition("activate")
        client.spin(0.5)
        assert node.stop() == 0  # while bonded

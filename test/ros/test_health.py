"""The health of a camera's frames and its diagnostics, checked from another process over real DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test.health.pictures import street
from test.ros.client import image, running
from unet_seg_msgs.msg import CameraHealth, ClassCoverage
from unet_seg_ros.health.rules import RULES


def test_good_dark_and_malformed_frames_get_their_health(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "threads:=1") as (_, client):
        client.wait(lambda: client.state() == "active", "the node activates itself")
        found: dict[int, Any] = {}
        client.node.create_subscription(
            CameraHealth, "/segmentation/camera/health", lambda m: found.update({m.header.stamp.sec: m}), 10
        )
        publisher = client.publisher()
        frame, _ = street()[0]
        publisher.publish(image(1, frame))
        client.wait(lambda: 1 in found, "health of the first frame")
        coverage = client.result("camera", "coverage", 1)
        assert coverage.trust == pytest.approx(found[1].trust)

        black = np.zeros_like(frame)
        publisher.publish(image(2, black))
        client.wait(lambda: 2 in found, "health of the dark frame")
        dark = found[2]
        assert dark.header.frame_id == "optical"
        assert dark.model == coverage.model
        assert dark.level > CameraHealth.OK
        assert dark.trust < found[1].trust
        assert "dark" in dark.flags
        assert "dark" in dark.reason
        assert dark.signals == [rule.signal for rule in RULES]
        assert len(dark.values) == len(dark.bounds) == len(dark.signals)
        assert dark.values[dark.signals.index("brightness")] == 0

        broken = image(3, frame)
        broken.step = 5
        publisher.publish(broken)
        client.wait(lambda: 3 in found, "health of a message without a usable image")
        assert (found[3].level, found[3].trust, found[3].flags) == (CameraHealth.BLIND, 0, ["malformed"])
        client.wait(lambda: client.diagnostics["health camera"].level == b"\0", "a second without a frame")
        publisher.publish(image(4, black))
        client.wait(lambda: client.diagnostics["health camera"].level > b"\0", "diagnostics of a dark second")


def test_each_frame_has_health_or_is_counted_as_dropped(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "threads:=1", outputs=()) as (_, client):
        health: list[int] = []
        coverage: dict[int, int] = {}
        client.node.create_subscription(
            CameraHealth, "/segmentation/camera/health", lambda m: health.append(m.header.stamp.sec), 50
        )
        client.node.create_subscription(
            ClassCoverage,
            "/segmentation/camera/coverage",
            lambda m: coverage.update({m.header.stamp.sec: m.dropped}),
            50,
        )
        for topic in ("health", "coverage"):
            client.wait(lambda t=topic: client.node.count_subscribers(f"/segmentation/camera/{t}"), "it is known")
        publisher = client.publisher()
        frame, _ = street()[0]
        for sec in range(1, 21):  # faster than the node can process
            publisher.publish(image(sec, frame))
        client.wait(lambda: 20 in coverage and 20 in health, "the newest frame is never dropped")
        received = int(client.camera_values("camera")["received"])
        assert health == sorted(coverage)
        assert len(health) + sum(coverage.values()) == received


def test_thresholds_that_cannot_be_read_are_refused(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "health.yaml"
    path.write_text("degraded: 0.5\n")
    with running("-p", f"model:={tiny}", "-p", f"health_thresholds:={path}") as (process, client):
        client.wait(lambda: "must have the keys degraded, blind and signals" in process.log, "the node says why")
        assert str(path) in process.log
        assert client.state() == "unconfigured"

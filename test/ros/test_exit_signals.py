"""Signals at any moment of configure and activate: the process ends at once, with status 0 and without a traceback."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from lifecycle_msgs.srv import ChangeState

from test.ros.client import NodeProcess, image, noise, running

READY = 1.0
"""Seconds after which the process has finished Python's own imports, on an idle machine."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("seed", range(4))
def test_a_signal_ends_the_node_with_status_0(number: signal.Signals, seed: int, tiny: Path) -> None:
    process = NodeProcess("-p", f"model:={tiny}", "-p", "cameras:=[front, rear]")
    start = time.monotonic()
    mapped = Path(f"/proc/{process.process.pid}/maps")
    while "librcl.so" not in mapped.read_text() and time.monotonic() - start < 60:
        time.sleep(0.02)  # from here on ROS handles the signals
    time.sleep(READY + random.Random(seed).uniform(0, 3))
    process.process.send_signal(number)
    try:
        status = process.process.wait(30)
    finally:
        process.process.kill()
    process._reader.join(5)
    assert status == 0, process.log
    assert "Traceback" not in process.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_a_transition_ends_the_node_with_status_0(number: signal.Signals, slow: Path) -> None:
    with running("-p", f"model:={slow}", "-p", "threads:=1", outputs=()) as (node, client):
        client.wait(lambda: client.state() == "active", "active")
        publisher = client.publisher()
        transition = client.node.create_client(ChangeState, "/segmentation/change_state")
        client.wait(transition.service_is_ready, "the service")
        for sec in range(10):  # the worker is always busy
            publisher.publish(image(sec, noise(sec, 480, 640)))
            client.spin(0.1)
        request = ChangeState.Request()
        request.transition.label = "deactivate"  # waits for the frame
        transition.call_async(request)
        client.spin(0.1)
        node.process.send_signal(number)
        assert node.process.wait(30) == 0, node.log
        assert "terminate called" not in node.log

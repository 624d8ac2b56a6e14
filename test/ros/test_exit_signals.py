"""Signals at any moment of configure and activate: the process ends at once, with status 0 and without a traceback."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from test.ros.client import NodeProcess

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

"""The end of a node's process, which the replay waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from unet_seg_ros.replay.live.node_process import NodeProcess

IGNORES_SIGINT = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(60)"
"""A process that SIGINT does not end."""


def started(program: str) -> NodeProcess:
    process = NodeProcess.__new__(NodeProcess)
    process._process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process._process.stdout is not None
    process._process.stdout.readline()  # it has begun
    return process


def test_ctrl_c_while_the_node_ends_is_told_and_not_raised() -> None:
    process = started(IGNORES_SIGINT)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert process.stop()
    assert process._process.returncode == -signal.SIGKILL


def test_a_node_that_ends_by_itself_is_not_an_interruption() -> None:
    process = started("import time; print(flush=True); time.sleep(60)")
    assert not process.stop()
    assert process._process.returncode != -signal.SIGKILL

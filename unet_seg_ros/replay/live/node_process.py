"""The node in a process of its own, as a car runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from unet_seg_ros.replay.errors import NodeError
from unet_seg_ros.ros.bringup import Bringup, ros_args

STOP_SECONDS = 10.0
"""How long the node may take to end by itself."""


class NodeProcess:
    """Started as ``plan`` says, its output going to the file ``log``."""

    def __init__(self, plan: Bringup, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "unet_seg_ros.ros.node", *ros_args(plan)]
        # The prefix is looked for in the log, whatever format the shell prefers.
        environment = {
            **os.environ,
            **plan.environment,
            "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}",
            "RCUTILS_COLORIZED_OUTPUT": "0",
        }
        with log.open("wb") as output:
            # A session of its own: Ctrl-C is for the replay, which then ends the node.
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises NodeError if the node is no longer running; what it said last is in the lines after the first."""
        if self._process.poll() is not None:
            last = self._log.read_text(errors="replace").splitlines()[-15:]
            raise NodeError("\n".join([f"the node ended with status {self._process.returncode}", *last]))

    def errors(self) -> list[str]:
        """What the node logged as an error so far."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line.removeprefix("[ERROR] ") for line in lines if line.startswith("[ERROR]")]

    def stop(self) -> None:
        """End it: SIGINT, and SIGKILL if it takes too long."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

"""The node in its own process, as in a car."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from unet_seg_ros.replay.errors import NodeError
from unet_seg_ros.ros.bringup import Bringup, ros_args

STOP_SECONDS = 10.0
"""Seconds that the node may take to end by itself."""


class NodeProcess:
    """A node that is started as ``plan`` says; its output goes to the file ``log``."""

    def __init__(self, plan: Bringup, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "unet_seg_ros.ros.node", *ros_args(plan)]
        # `errors` searches the log for this prefix, so the shell's format must not be used.
        environment = {
            **os.environ,
            **plan.environment,
            "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}",
            "RCUTILS_COLORIZED_OUTPUT": "0",
        }
        with log.open("wb") as output:
            # In its own session the node does not get Ctrl-C; the replay ends it.
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises NodeError if the node is no longer running; the lines after the first are the last ones of its log."""
        if self._process.poll() is not None:
            last = self._log.read_text(errors="replace").splitlines()[-15:]
            raise NodeError("\n".join([f"the node ended with status {self._process.returncode}", *last]))

    def errors(self) -> list[str]:
        """The errors that the node has logged so far."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line.removeprefix("[ERROR] ") for line in lines if line.startswith("[ERROR]")]

    def stop(self) -> bool:
        """End the node with SIGINT, and with SIGKILL if that takes too long or at Ctrl-C. Returns whether Ctrl-C came:
        it must not lose the report."""
        interrupted = False
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as reason:
            interrupted = isinstance(reason, KeyboardInterrupt)
            self._process.kill()
            self._process.wait()
        return interrupted

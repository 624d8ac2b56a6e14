"""Ctrl-C and SIGTERM end a command with one line, and what it wrote before is complete."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from test.training.test_train import arguments
from training.config import TrainConfig
from training.run.checkpoint import checkpoints, read_checkpoint

ROOT = Path(__file__).parents[2]


def interrupted(command: list[str], number: signal.Signals, begun: Callable[[], object]) -> tuple[int, list[str]]:
    """The status of a command that gets a signal once it has ``begun``, and the lines that it prints at the end."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not begun() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    return process.returncode, errors.replace("\r", "\n").strip().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_run(tiny_run: Callable[..., TrainConfig], tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    command = arguments(tiny_run(model="nano", crop=(32, 64), steps=10_000, batch=2, save_every=1), folder)
    status, lines = interrupted(command, number, lambda: len(checkpoints(folder)) > 1)
    assert status == 130
    assert lines[-1] == f"interrupted; the checkpoints in {folder} are complete; run the same command again to resume"
    assert not any("Traceback" in line or "Error" in line for line in lines)
    assert [read_checkpoint(path) for path in checkpoints(folder)]


def test_another_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.synthetic", str(tmp_path / "town"), "--drives", "500"]
    status, lines = interrupted(command, signal.SIGTERM, lambda: any(tmp_path.rglob("*.png")))
    assert (status, lines[-1]) == (130, "interrupted")
    assert not any("Traceback" in line for line in lines)

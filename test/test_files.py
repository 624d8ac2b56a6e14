"""Files are complete or absent, and names mean what the user means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unet_seg_ros.files import locked, of_user


def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import os, sys, time; from pathlib import Path; from unet_seg_ros.files import locked\n"
        f"with locked(Path({str(path)!r}), wait=False):\n"
        "    child = os.fork()\n"
        "    print('held', flush=True) if child else None\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError, match="another process uses this folder"), locked(path, wait=False):
            pass
        process.kill()
        process.wait()
        with locked(path, wait=False):  # its child is alive
            pass
        os.killpg(process.pid, signal.SIGKILL)


def test_an_unknown_home_folder_is_kept_as_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert of_user("~/x") == tmp_path / "x"
    assert of_user("~no such user/x") == Path("~no such user/x")

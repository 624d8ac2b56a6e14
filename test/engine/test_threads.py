"""How many cores a process may use: limits of control groups, in folders as Linux has them, and the affinity mask."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unet_seg_ros.engine import threads
from unet_seg_ros.engine.threads import thread_count, usable_cores

V2 = "0::{}\n"
V1 = "5:memory:{0}\n4:cpu,cpuacct:{0}\n1:name=systemd:/elsewhere\n0::/elsewhere\n"


def limit(folder: Path, files: dict[str, str], own: str) -> float:
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return threads._cgroup_limit(folder / "cgroup", folder / "own")


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        pytest.param({}, V2.format("/"), math.inf, id="no limits at all"),
        pytest.param({"cpu.max": "max 100000\n"}, V2.format("/"), math.inf, id="max"),
        pytest.param({"cpu.max": "150000 100000\n"}, V2.format("/"), 1.5, id="a container's"),
        pytest.param({"a/b/cpu.max": "300000 100000\n"}, V2.format("/a/b"), 3, id="a service's"),
        pytest.param(
            {"cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n", "a/b/cpu.max": "300000 100000\n"},
            V2.format("/a/b"),
            0.5,
            id="the group above has less",
        ),
        pytest.param({"a/cpu.max": "50000 100000\n"}, V2.format("/other"), math.inf, id="another group's"),
        pytest.param({"cpu.max": "200000 100000\n"}, V2.format("/docker/1f"), 2, id="named as the machine sees it"),
        pytest.param(
            {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            V1.format("/a"),
            2.5,
            id="version 1",
        ),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            V1.format("/"),
            math.inf,
            id="version 1 without a limit",
        ),
        pytest.param({"cpu.max": "words\n"}, V2.format("/"), math.inf, id="not a number"),
        pytest.param({"cpu.max": "100000 0\n"}, V2.format("/"), math.inf, id="no period"),
        pytest.param({"cpu.max": "200000 100000\n"}, "", 2, id="the process names no group"),
    ],
)
def test_limits_of_control_groups_are_read(files: dict[str, str], own: str, expected: float, tmp_path: Path) -> None:
    assert limit(tmp_path, files, own) == expected


def test_without_the_files_there_is_no_limit(tmp_path: Path) -> None:
    assert threads._cgroup_limit(tmp_path / "none", tmp_path / "none") == math.inf


@pytest.mark.parametrize(("granted", "expected"), [(0.3, 1), (1.0, 1), (2.5, 3), (math.inf, 8)])
def test_part_of_a_core_counts_as_one(granted: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(threads, "_cgroup_limit", lambda: granted)
    assert usable_cores() == expected


def test_a_process_bound_to_one_core_uses_one() -> None:
    script = (
        "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
        "from unet_seg_ros.engine.threads import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_the_number_of_threads_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    assert [thread_count(0), thread_count(0, 3), thread_count(0, 8), thread_count(6, 3)] == [4, 3, 4, 6]
    with pytest.raises(ValueError, match=r"^threads must not be negative, not -1$"):
        thread_count(-1)

"""The number of CPU threads of an engine, and how many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def thread_count(wanted: int, most: float = math.inf) -> int:
    """``wanted`` threads or, for 0, one for each core that this process may use, but not more than ``most``.

    Raises ValueError for a negative number.
    """
    if wanted < 0:
        raise ValueError(f"threads must not be negative, not {wanted}")
    return wanted or int(min(usable_cores(), most))


def usable_cores() -> int:
    """The number of cores that this process may use, by its affinity mask and its control group's CPU limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cgroup_limit())))


def _cgroup_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """The CPU time, in cores, that the process's control group (version 2 or 1) and the groups above it may use;
    infinite if there is no limit. The file ``own`` names the groups of the process."""
    limits = [math.inf]
    for folder, names in _groups(root, own):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if int(quota) > 0 and int(period) > 0:
                limits.append(int(quota) / int(period))
        except (OSError, ValueError):  # no such group is seen from here, or "max"
            continue
    return min(limits)


def _groups(root: Path, own: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Folders of groups that may limit the process, each with the names of the files that hold the limit. In a
    container ``own`` can give the group's path on the host, while ``root`` shows only the container's part of it."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    for top, controller, names in (
        (root, "", ("cpu.max",)),
        (root / "cpu", "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")),
    ):
        yield top, names
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                group = PurePosixPath(path.strip("/"))
                yield from ((top / part, names) for part in (group, *group.parents))

"""What a CPU can do for a network: how many threads, and which arithmetic it has natively."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path


def usable_cores() -> int:
    """Cores that this process may use: those of its affinity mask, at most its control group's limit of CPU time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cgroup_limit())))


def _cgroup_limit(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores' worth of time that the control group (version 2, or 1) may use; infinite where there is no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((root / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota.isdigit() and int(quota) > 0:
            return int(quota) / int(period)
    return math.inf


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively (x86-64 or ARM)."""
    cpuinfo = Path("/proc/cpuinfo")
    return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", cpuinfo.read_text() if cpuinfo.exists() else ""))

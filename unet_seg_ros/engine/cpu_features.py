"""Which arithmetic the CPU has natively."""

from __future__ import annotations

import re
from pathlib import Path


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively (x86-64 or ARM)."""
    cpuinfo = Path("/proc/cpuinfo")
    return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", cpuinfo.read_text() if cpuinfo.exists() else ""))

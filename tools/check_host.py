"""Prints one line if this machine lacks something that .venv needs; prints nothing otherwise.

Usage: PYTHON tools/check_host.py

It must run with old versions of Python, so it uses only the syntax of Python 3.6.
"""

import shutil
import sys
import sysconfig
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)  # there are wheels of PyTorch and ROS for these


def missing() -> "str | None":
    """A sentence about the first missing thing, or None."""
    major, minor = version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        other = "name another one, for example `make PYTHON=python3.12 demo`"
        return f"Python 3.10 to 3.13 is needed and this is Python {major}.{minor}: {other}"
    for language, names in (("C", ("gcc", "cc", "clang")), ("C++", ("g++", "c++", "clang++"))):
        if not any(shutil.which(name) for name in names):
            return f"a {language} compiler is needed (on Debian and Ubuntu: apt install build-essential)"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        return f"Python's headers are needed: no {header} (on Debian and Ubuntu: apt install python{major}.{minor}-dev)"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return f"Python's venv module is needed (on Debian and Ubuntu: apt install python{major}.{minor}-venv)"
    return None


if __name__ == "__main__":
    problem = missing()
    if problem:
        sys.exit(f"unet_seg_ros: {problem}")

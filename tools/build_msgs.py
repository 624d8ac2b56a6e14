"""Builds unet_seg_msgs into the virtual environment whose Python runs this file.

Usage: .venv/bin/python tools/build_msgs.py

The environment's ROS wheels contain the message generators; the C compiler is the system's. No setup file needs to be
sourced afterwards. With ROS 2 installed, use `colcon build` instead.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).resolve().parent.parent / "unet_seg_msgs"

# The wheels' exported CMake files name include folders of the machine they were made on.
FOREIGN_NUMPY = re.compile(r"/opt/python/[^;\"]*/numpy/(?:_core|core)/include")
FOREIGN_PYTHON = re.compile(r"/opt/python/[^;\"]*/include/python3\.\d+")


def localise(cmake_text: str, python_include: str, numpy_include: str) -> str:
    """The text of an exported CMake file with this machine's include folders in place of the wheel builder's."""
    text = FOREIGN_NUMPY.sub(lambda _: numpy_include, cmake_text)
    return FOREIGN_PYTHON.sub(lambda _: python_include, text)


def localise_wheels(prefix: Path) -> None:
    """Rewrites the exported CMake files of every message package under `prefix`; a second time changes nothing."""
    for path in sorted(prefix.glob("share/*/cmake/*__rosidl_generator_pyExport.cmake")):
        text = path.read_text()
        local = localise(text, sysconfig.get_path("include"), np.get_include())
        if local != text:
            path.write_text(local)


def build(prefix: Path) -> None:
    """Generates, compiles and installs the package under `prefix`; raises CalledProcessError if a step fails."""
    python = prefix / "bin" / "python3"
    # CMake and the generators call `python3` and `cmake` by name: this environment's come first.
    env = os.environ | {"AMENT_PREFIX_PATH": str(prefix), "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as build_dir:
        configure = [
            "cmake", "-S", str(SOURCE), "-B", build_dir,
            f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DPython3_EXECUTABLE={python}",
            "-DPython3_FIND_VIRTUALENV=ONLY",
            "-DBUILD_TESTING=OFF",
        ]  # fmt: skip
        install = ["cmake", "--build", build_dir, "--target", "install", "--parallel", str(os.cpu_count())]
        for command in (configure, install):
            subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    prefix = Path(sys.prefix)
    if sys.prefix == sys.base_prefix:
        sys.exit("tools/build_msgs.py: run it with a virtual environment's Python, for example .venv/bin/python")
    localise_wheels(prefix)
    try:
        build(prefix)
    except subprocess.CalledProcessError as error:
        sys.exit(f"tools/build_msgs.py: unet_seg_msgs was not built: {error.cmd[0]} failed, see the lines above")


if __name__ == "__main__":
    main()

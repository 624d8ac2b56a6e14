"""Files that are whole or not there, and reading them within bounds."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file (text as UTF-8): temporary file beside it, fsync, rename; its folder is made.

    A character that UTF-8 doesn't have, such as one that stands for a byte of a file's name, is escaped. Raises
    OSError, and then leaves what was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. A pipe or a device, which may never end, is refused with OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def read_bytes(path: Path, limit: int) -> bytes:
    """What a regular file holds. Raises OSError for another kind of file and for more than ``limit`` bytes."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{path} is larger than {limit} bytes")
    return data

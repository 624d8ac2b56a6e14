"""Writes files that are either complete or absent, reads files up to a given size, and locks what one process alone
may write."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NUMBERS = re.compile(r"(\d+)")


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file (text as UTF-8): write a temporary file beside it, call fsync, rename. Makes the folder if needed.

    A character that UTF-8 cannot encode is escaped; file names that are not UTF-8 contain such characters. Raises
    OSError; an old file of that name is then unchanged.
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


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of the file ``path``, which is made and stays. The lock ends with the process, also if that is
    killed, and child processes do not hold it. Raises BlockingIOError if another process holds it, unless ``wait``;
    OSError if the file cannot be made.
    """
    with path.open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # one of both, by the system
            if not wait:
                raise BlockingIOError(f"{path}: another process uses this folder; wait until it has ended") from None
            fcntl.lockf(file, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks
        yield


def of_user(text: str | Path) -> Path:
    """The path of a text that may begin with ``~``. It is not changed if that home folder is unknown."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError for a pipe or a device, because reading one may never end."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a regular file. Raises OSError for another kind of file and for more than ``limit`` bytes."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{path} is larger than {limit} bytes")
    return data


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """A key that sorts files by name as people number them: 2 comes before 10."""
    parts = _NUMBERS.split(path.name)
    return [int(part[:18]) if index % 2 else part for index, part in enumerate(parts)], path.name


@contextmanager
def utf8_path(path: Path) -> Iterator[str]:
    """The path itself or, if its name is not UTF-8, a link to it with another name: OpenCV crashes on such names.

    The file need not exist yet. Raises OSError.
    """
    name = os.fspath(path)
    if not any("\udc80" <= character <= "\udcff" for character in name):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        suffix = path.suffix if path.suffix.isascii() else ""
        link = Path(folder) / f"file{suffix}"
        link.symlink_to(path.absolute())
        yield str(link)

"""Makes text from outside (messages, files, names) safe: one line, printable, of limited length.

Text that is logged, printed, published or written into a report must go through these functions if a part of it comes
from outside. A line break could forge a log line, a control character could change the terminal, and a text of a
megabyte could fill the disk.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

LINE = 500
"""Most characters of a line."""
VALUE = 80
"""Most characters of a single value within a line."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that make a spreadsheet treat it as a formula."""


def one_line(text: object, limit: int = LINE) -> str:
    """``text`` on one line: characters that are not printable are escaped (``\\n``, ``\\x1b``). A longer text is cut
    after ``limit`` characters, and the number of all its characters follows."""
    whole = str(text)
    kept = whole[:limit]
    line = kept if kept.isprintable() else "".join(map(_printable, kept))
    if len(whole) <= limit and len(line) <= limit:
        return line
    return f"{line[:limit]}… ({len(whole)} characters)"


def quoted(value: object, limit: int = VALUE) -> str:
    """A value from outside, for use in a message: short, on one line, and in quotes if it is text."""
    return f"'{one_line(value, limit)}'" if isinstance(value, str) else one_line(value, limit)


def listed(values: object, limit: int = 10) -> str:
    """The first ``limit`` of several values from outside, separated by commas, and the number of further ones."""
    every = list(values)  # type: ignore[call-overload]
    shown = ", ".join(one_line(value, VALUE) for value in every[:limit])
    return shown + (f" and {len(every) - limit} more" if len(every) > limit else "")


def last_words(error: BaseException) -> str:
    """The message of an exception on one line, or its type if the message is empty."""
    return one_line(" ".join(str(error).split()) or type(error).__name__)


def cell(value: object) -> object:
    """A cell of a CSV file. Text that a spreadsheet would treat as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def never_fail_to_print() -> None:
    """Make printing safe, so that no message ends a run of many hours: a character that the terminal or the log file
    cannot show is replaced, and output that cannot be written (a full disk, a closed terminal, a pipe whose reader has
    ended) is lost."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a closed 0, 1 or 2 would be the number of the next file, and libraries print there
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        if not isinstance(stream, _Unfailing):
            setattr(sys, name, _Unfailing(stream or open(os.devnull, "w")))  # noqa: SIM115


class _Unfailing:
    """A stream for text that ignores errors of writing; everything else is that of ``stream``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")

"""Text that comes from outside (messages, files, names) made safe: one line, bounded, printable.

Everything that is logged, printed, published or written into a report goes through here where it holds a word that
this program did not choose. A line break could forge a log line, a control character could change a terminal, and a
megabyte could fill a disk.
"""

from __future__ import annotations

LINE = 500
"""Characters of a line, at most."""
VALUE = 80
"""Characters of a single value within a line, at most."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a cell for a formula by."""


def one_line(text: object, limit: int = LINE) -> str:
    """``text`` on one line: what is not printable is escaped (``\\n``, ``\\x1b``), and of more than ``limit``
    characters the rest is left out and counted."""
    whole = str(text)
    kept = whole[:limit]
    line = kept if kept.isprintable() else "".join(map(_printable, kept))
    if len(whole) <= limit and len(line) <= limit:
        return line
    return f"{line[:limit]}… ({len(whole)} characters)"


def quoted(value: object, limit: int = VALUE) -> str:
    """A value from outside as part of a message: on one line and short, text in quotes."""
    return f"'{one_line(value, limit)}'" if isinstance(value, str) else one_line(value, limit)


def listed(values: object, limit: int = 10) -> str:
    """Several values from outside, separated by commas: the first ``limit`` of them, and how many more there are."""
    every = list(values)  # type: ignore[call-overload]
    shown = ", ".join(one_line(value, VALUE) for value in every[:limit])
    return shown + (f" and {len(every) - limit} more" if len(every) > limit else "")


def last_words(error: BaseException) -> str:
    """What an exception says, on one line; its kind where it says nothing."""
    return one_line(" ".join(str(error).split()) or type(error).__name__)


def cell(value: object) -> object:
    """A cell of a CSV file: text that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")

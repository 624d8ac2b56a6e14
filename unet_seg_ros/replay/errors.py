"""What can go wrong with a replay: its errors, and the problems of a drive, which do not end it."""

from __future__ import annotations

from unet_seg_ros.text import one_line


class ReplayError(Exception):
    """A replay that cannot be done. The text says in one line why; after an error of the node, more lines follow."""


class SourceError(Exception):
    """A drive that can't be played; the text says in one line what is wrong and what would be right."""


class NodeError(Exception):
    """The node can't do its work; the text says why, with what the node itself said."""


class ReportError(ValueError):
    """A file that is no report of this format; the text says so in one line."""


class Problems:
    """The first text of each kind, and how often the kind occurred."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def add(self, kind: str, text: str) -> None:
        """``text`` may hold words from outside: it becomes one line."""
        self._first.setdefault(kind, one_line(text.split("\n")[0]))
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def lines(self) -> list[str]:
        """In order of their first occurrence."""
        return [
            text + (f" (and {self._counts[kind] - 1} more times)" if self._counts[kind] > 1 else "")
            for kind, text in self._first.items()
        ]

"""The errors of a replay, and the problems of a drive that do not end the replay."""

from __future__ import annotations

from unet_seg_ros.text import one_line


class ReplayError(Exception):
    """The replay is not possible. The text says why in one line; after an error of the node, more lines follow."""


class SourceError(Exception):
    """The drive cannot be played. The text says in one line what is wrong and what would be right."""


class NodeError(Exception):
    """The node does not work. The text says why; further lines are from the node's log."""


class ReportError(ValueError):
    """The file is not a report of this format. The text says so in one line."""


class Problems:
    """The first text of each kind of problem, and the number of problems of that kind."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def add(self, kind: str, text: str) -> None:
        """Add a problem. Only the first line of ``text`` is kept, with unprintable characters escaped."""
        self._first.setdefault(kind, one_line(text.split("\n")[0]))
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def lines(self) -> list[str]:
        """One line for each kind, in order of the first occurrence."""
        return [
            text + (f" (and {self._counts[kind] - 1} more times)" if self._counts[kind] > 1 else "")
            for kind, text in self._first.items()
        ]

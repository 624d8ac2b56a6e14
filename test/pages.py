"""Reading the pages under docs/, so that tests can compare them with the code."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def rows(page: str, header: str) -> list[list[str]]:
    """The cells of the first table of a page under docs/ whose first row begins with ``header``, code marks removed."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return found

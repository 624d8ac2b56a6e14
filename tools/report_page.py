"""Writes the examples in docs/report_json.md from docs/report_example.json.

Usage: .venv/bin/python tools/report_page.py

A comment in the page names the parts of the report that the block of JSON below it shows.
"""

import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, EXAMPLE = DOCS / "report_json.md", DOCS / "report_example.json"
BLOCK = re.compile(r"(<!-- from report_example\.json: ([\w ]+) -->\n)(?:```json\n.*?```\n)?", re.DOTALL)
LEAF = re.compile(r"[\[{][^\[\]{}]*[\]}]")
"""A list or mapping that holds no other."""
WIDTH = 110


def compact(value: Any) -> str:
    """JSON text in which a list or mapping that fits into a line takes one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return LEAF.sub(lambda match: _one_line(match[0]), text)


def _one_line(text: str) -> str:
    line = re.sub(r"\s+", " ", text)
    return line if len(line) <= WIDTH else text


def page(text: str, report: dict[str, Any]) -> str:
    """The page with its blocks of JSON made again."""

    def block(match: re.Match[str]) -> str:
        shown = {name: report[name] for name in match[2].split()}
        return f"{match[1]}```json\n{compact(shown)}\n```\n"

    return BLOCK.sub(block, text)


def write_page() -> None:
    """Write the page again, from the example."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), json.loads(EXAMPLE.read_text(encoding="utf-8"))), "utf-8")


if __name__ == "__main__":
    write_page()

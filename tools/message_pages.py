"""Writes docs/messages.md from the .msg files of unet_seg_msgs.

Usage: .venv/bin/python tools/message_pages.py
"""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = ROOT / "unet_seg_msgs" / "msg"
PAGE = ROOT / "docs" / "messages.md"
TITLE = """# Messages

The messages of the package `unet_seg_msgs`. This page is written by `tools/message_pages.py` from the `.msg` files;
change those and run it again. [Topics](topics.md) says where each message is published.
"""


class Field(NamedTuple):
    """One line of a .msg file: a field, or a constant with its value."""

    type: str
    name: str


def paragraphs(text: str) -> list[tuple[str, list[Field]]]:
    """The blocks of a .msg file that blank lines part, each as its comment and its fields."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        comment = " ".join(line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
        fields = [Field(*line.split(maxsplit=1)) for line in lines if not line.startswith("#")]
        found.append((comment, fields))
    return found


def section(path: Path) -> str:
    """The part of the page on one message."""
    (introduction, _), *rest = paragraphs(path.read_text(encoding="utf-8"))
    rows = [f"## {path.stem}", "", introduction, "", "| field | type | what |", "|---|---|---|"]
    for comment, fields in rest:
        names = ", ".join(f"`{field.name.replace('=', ' = ')}`" for field in fields)
        types = ", ".join(f"`{name}`" for name in dict.fromkeys(field.type for field in fields))
        rows.append(f"| {names} | {types} | {comment} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([TITLE, *(section(path) for path in sorted(MESSAGES.glob("*.msg")))])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

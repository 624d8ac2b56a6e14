"""Parameter files that were given to the node but say nothing of it: their keys name another node. Imports no ROS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**20
"""A larger file is not looked at."""


def misdirected(args: Sequence[str], node: str) -> list[str]:
    """A sentence for each ``--params-file`` of a process's arguments that has no key for ``node``, a full name."""
    files = [Path(args[i + 1]) for i, arg in enumerate(args[:-1]) if arg == "--params-file"]
    sentences = []
    for file in files:
        keys = list(_keys(file))
        if keys and not any(_matches(key, node) for key in keys):
            sentences.append(f"{file}: is for {', '.join(keys[:5])}; nothing in it is for {node}")
    return sentences


def _keys(file: Path) -> Iterator[str]:
    """Full names of the nodes that a parameter file is for; none of one that can't be read, which rcl reports."""
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8")) if file.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError, yaml.YAMLError):
        return
    yield from _nodes(tree, "")


def _nodes(tree: Any, above: str) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, branch in tree.items():
            name = f"{above}/{str(key).strip('/')}"
            if isinstance(branch, dict) and "ros__parameters" in branch:
                yield name
            else:
                yield from _nodes(branch, name)


def _matches(key: str, node: str) -> bool:
    """In a key ``*`` stands for one token of the name and ``**`` for any number."""
    pattern = "".join(
        "(/[^/]+)*" if token == "**" else "/[^/]+" if token == "*" else re.escape(f"/{token}")
        for token in key.strip("/").split("/")
    )
    return re.fullmatch(pattern, node) is not None

"""Finds parameter files that were given to the node but are for another node. Imports no ROS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**20
"""Larger files are not read."""


def misdirected(args: Sequence[str], node: str) -> list[str]:
    """A sentence for each ``--params-file`` in ``args`` that has no key for ``node``, the node's full name."""
    files = [Path(args[i + 1]) for i, arg in enumerate(args[:-1]) if arg == "--params-file"]
    sentences = []
    for file in files:
        keys = list(_keys(file))
        if keys and not any(_matches(key, node) for key in keys):
            sentences.append(f"{file}: this parameter file is for {', '.join(keys[:5])} and has nothing for {node}")
    return sentences


def _keys(file: Path) -> Iterator[str]:
    """Full names of the nodes in a parameter file; none if it cannot be read, which rcl reports."""
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
    """Whether a key matches a node's name. In a key ``*`` stands for one part of the name and ``**`` for any number."""
    pattern = "".join(
        "(/[^/]+)*" if token == "**" else "/[^/]+" if token == "*" else re.escape(f"/{token}")
        for token in key.strip("/").split("/")
    )
    return re.fullmatch(pattern, node) is not None

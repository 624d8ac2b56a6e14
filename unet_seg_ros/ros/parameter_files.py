"""What parameter files hold, before ROS reads them: for which nodes they are, and which cameras. Imports no ROS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.text import listed, one_line


def misdirected(args: Sequence[str], node: str) -> list[str]:
    """A sentence for each ``--params-file`` in ``args`` that has no key for ``node``, the node's full name."""
    files = [Path(args[i + 1]) for i, arg in enumerate(args[:-1]) if arg == "--params-file"]
    sentences = []
    for file in files:
        keys = list(_nodes(_tree(file), ""))
        if keys and not any(_matches(key, node) for key in keys):
            found = f"this parameter file is for {listed(keys, 5)} and has nothing for {node}"
            sentences.append(f"{one_line(file)}: {found}")
    return sentences


def cameras_in(file: Path) -> list[str]:
    """The first ``cameras`` entry of a parameter file; empty if there is none, or if the file cannot be read."""
    return next(_cameras(_tree(file)), [])


def _tree(file: Path) -> Any:
    """The content of a parameter file; None if it cannot be read, which rcl reports."""
    try:
        return read_yaml(file)
    except ValueError:
        return None


def _cameras(tree: Any) -> Iterator[list[str]]:
    if isinstance(tree, dict):
        own = tree.get("ros__parameters")
        if isinstance(own, dict) and isinstance(own.get("cameras"), list):
            yield [str(name) for name in own["cameras"]]
        for branch in tree.values():
            yield from _cameras(branch)


def _nodes(tree: Any, above: str) -> Iterator[str]:
    """Full names of the nodes that a parameter file is for."""
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

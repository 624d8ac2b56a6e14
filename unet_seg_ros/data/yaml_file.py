"""YAML and JSON files from outside, read within bounds.

A file of a few hundred bytes can stand for gigabytes by aliases, and a deep one can exhaust the stack: both are
refused, and so is a name that is there twice, of which one would be lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from unet_seg_ros.files import read_bytes
from unet_seg_ros.text import last_words, quoted

MAX_BYTES = 2**20
"""Of a YAML file that a person writes."""
MAX_DEPTH = 20
"""Of lists and mappings within each other."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader without aliases, deep nesting and names that are there twice."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._refuse("an alias (*NAME): write out what it stands for", self.peek_event())
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} levels of nesting", self.peek_event())
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    self._refuse(f"{quoted(key.value)} is there twice", key)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(problem: str, where: Any) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


def parse_yaml(text: bytes | str, where: object) -> Any:
    """What a YAML text holds. Raises ValueError with one line that begins with ``where``."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"{where}: larger than {MAX_BYTES} bytes")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(
            f"{where}: not YAML: {place}{last_words(ValueError(error.problem or error.context))}"
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{where}: not YAML: {last_words(error)}") from error  # such as a date that there isn't


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ValueError with one line that names it."""
    try:
        text = read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or last_words(error)}") from error
    return parse_yaml(text, path)


def parse_json(text: bytes | str, limit: int) -> Any:
    """What a JSON text of at most ``limit`` bytes holds. Raises ValueError, one line, also for one too deep."""
    if len(text) > limit:
        raise ValueError(f"larger than {limit} bytes")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {last_words(error)}") from error

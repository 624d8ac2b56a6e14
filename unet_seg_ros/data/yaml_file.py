"""Reads YAML and JSON files that come from outside, within bounds.

With aliases, a file of a few hundred bytes can expand to gigabytes; deep nesting can exhaust the stack. Both are
refused. A key that occurs twice is refused as well, because one of its values would be lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from unet_seg_ros.files import read_bytes
from unet_seg_ros.text import last_words, one_line, quoted

MAX_BYTES = 2**20
"""Largest YAML file that is read, bytes."""
MAX_DEPTH = 20
"""Most levels of lists and mappings inside each other."""
MAX_NODES = 200_000
"""Most values, lists and mappings of a file; a list of ten thousand bag files has 150,000. Each takes 20 µs."""


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """PyYAML's safe loader that also refuses a key that occurs twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _problem(f"{quoted(key.value)} occurs twice", key)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _problem(text: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=where.start_mark)


def _check(text: bytes | str, aliases: bool) -> None:
    """Check aliases, size and depth while only events are parsed and no object is built. Raises yaml.YAMLError."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, _BASE)):
        if number > MAX_NODES:
            raise _problem(f"more than {MAX_NODES} values", event)
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise _problem("an alias (*NAME) is not allowed; write its value instead", event)
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and aliases:
            raise _problem("a merge (<<) is not allowed, because it can expand to gigabytes", event)
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise _problem(f"more than {MAX_DEPTH} levels of nesting", event)
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1


def parse_yaml(text: bytes | str, where: object, limit: int = MAX_BYTES, aliases: bool = False) -> Any:
    """Parse a YAML text of at most ``limit`` bytes. With ``aliases``, values may be shared, so that the result must
    never be walked as a whole. Raises ValueError with one line that begins with ``where``."""
    if len(text) > limit:
        raise ValueError(f"{where}: larger than {limit} bytes")
    try:
        _check(text, aliases)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}: not YAML: {place}{one_line(error.problem or error.context)}") from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{where}: not YAML: {last_words(error)}") from error  # such as an impossible date


def read_yaml(path: Path, limit: int = MAX_BYTES, aliases: bool = False) -> Any:
    """Read a YAML file as ``parse_yaml`` does. Raises ValueError with one line that names the file."""
    try:
        text = read_bytes(path, limit)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or last_words(error)}") from error
    return parse_yaml(text, path, limit, aliases)


def parse_json(text: bytes | str, limit: int) -> Any:
    """Parse a JSON text of at most ``limit`` bytes. Raises ValueError with one line, also if it is nested too deep."""
    if len(text) > limit:
        raise ValueError(f"larger than {limit} bytes")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {last_words(error)}") from error

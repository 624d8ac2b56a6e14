"""Dotted names for the values of nested mappings, such as ``timing.latency.p95``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flattened(values: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values. The name of a value in a mapping begins with the mapping's own name and a dot."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value

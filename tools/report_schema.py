"""Writes docs/report.schema.json from the types in unet_seg_ros/replay/schema.py.

Usage: .venv/bin/python -m tools.report_schema

In ``Annotated``, a text describes what it stands with, and a pair is a keyword of JSON Schema and its value.
"""

from __future__ import annotations

import json
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from unet_seg_ros.replay.schema import Report

PATH = Path(__file__).resolve().parent.parent / "docs" / "report.schema.json"
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def text() -> str:
    """The whole file."""
    definitions: dict[str, Any] = {}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of a replay",
        "description": "The fields of report.json. Shares, IoUs and confidences are 0..1, times are in seconds and "
        "rates in Hz. A value that was not measured is null.",
        **described(Report, definitions),
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def described(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; those of the TypedDicts in it are added to ``definitions``. Raises KeyError for a type that
    a report can't hold."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = described(inner[0], definitions)
        for note in inner[1:]:
            schema |= {"description": note} if isinstance(note, str) else dict([note])
        return schema
    if origin in (Union, UnionType):
        value, nothing = inner
        assert nothing is NoneType
        schema = described(value, definitions)
        if "type" in schema:
            return {**schema, "type": [schema["type"], "null"]}
        return {"anyOf": [schema, {"type": "null"}]}
    if origin is list:
        return {"type": "array", "items": described(inner[0], definitions)}
    if origin is dict:
        return {"type": "object"} | (
            {} if inner[1] is Any else {"additionalProperties": described(inner[1], definitions)}
        )
    if is_typeddict(kind):
        return _reference(kind, definitions)
    return {"type": PLAIN[kind]}


def _reference(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # a report holds reports
        fields = get_type_hints(kind, include_extras=True)
        definitions[kind.__name__] |= {
            "type": "object",
            "description": " ".join((getdoc(kind) or "").split()),
            "properties": {name: described(field, definitions) for name, field in fields.items()},
            "required": [name for name in fields if name in kind.__required_keys__],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")

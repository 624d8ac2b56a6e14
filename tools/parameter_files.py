"""Writes the files that are generated from the table of the node's parameters: parameter file, JSON schema, reference.

Usage: .venv/bin/python tools/parameter_files.py
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from unet_seg_ros.ros.parameter_spec import Spec  # noqa: E402
from unet_seg_ros.ros.parameter_table import TABLE  # noqa: E402  (the clone's own)

TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "numbers": {"type": "array", "items": {"type": "number"}},
}
NAME = "[A-Za-z_][A-Za-z0-9_]*"


def parameter_file() -> str:
    """``config/seg.param.yaml``: every parameter with its default, and for each family of names a line in a comment."""
    lines = [
        "# Every parameter of the node `segmentation` with its default. Copy this file and change the copy. Parameters",
        "# that are marked [any time] take effect at once. The others can be set while the node is not active, and",
        "# take effect when it is configured or activated. tools/parameter_files.py makes this file from",
        "# unet_seg_ros/ros/parameter_table.py.",
        "/**:",
        "  ros__parameters:",
    ]
    for spec in TABLE:
        mark = "[any time] " if spec.live else ""
        lines += [f"    # {line}" for line in textwrap.wrap(mark + spec.description, 112)]
        value = json.dumps(spec.default, ensure_ascii=False)
        if "<" in spec.name:
            lines.append(f"    # {spec.example or spec.name.replace('<camera>', 'camera') + ': ' + value}")
        else:
            lines += [f"    # {spec.example}"] if spec.example else []
            lines.append(f"    {spec.name}: {value}")
        lines.append("")
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """``config/seg.param.schema.json``, for parameter files that hold only this node's parameters."""
    named = {spec.name: _property(spec) for spec in TABLE if "<" not in spec.name}
    families = {_pattern(spec): _property(spec) for spec in TABLE if "<" in spec.name}
    parameters = {
        "type": "object",
        "properties": {"use_sim_time": {"type": "boolean"}, **named},
        "patternProperties": families,
        "additionalProperties": False,
    }
    node = {"type": "object", "properties": {"ros__parameters": parameters}, "required": ["ros__parameters"]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Parameters of unet_seg_ros",
        "type": "object",
        "additionalProperties": node,
        "minProperties": 1,
    }


def _pattern(spec: Spec) -> str:
    return "^" + re.sub(r"<\w+>", lambda _: NAME, spec.name.replace(".", "\\.")) + "$"


def _property(spec: Spec) -> dict[str, Any]:
    made: dict[str, Any] = {**TYPES[spec.kind], "description": spec.description, "default": spec.default}
    if spec.choices:
        made["enum"] = list(spec.choices)
    if spec.low is not None and spec.high is not None:
        made |= {"minimum": spec.low, "maximum": spec.high}
    return made


def reference() -> str:
    """``docs/parameters.md``."""
    lines = [
        "# Parameters of the node",
        "",
        "`config/seg.param.yaml` holds every parameter with its default, and `config/seg.param.schema.json` is a "
        "JSON schema of such a file. In a name, `<camera>` stands for the name of a camera and `<region>` for the "
        "name of a region.",
        "",
        "A parameter that changes *at any time* takes effect with the next image. The others can be set while the "
        "node is not active; they take effect when the node is configured. A node that is activated after such a "
        "change configures itself again first. While the node is active they are refused.",
        "",
        "Every value is checked when it is set. A number may be written without decimals (`confidence_threshold: 1`), "
        "and lists may be empty (`regions: []`). At the start the node warns of a parameter that does not exist, and "
        "names the most similar one. It also warns of a parameter file that is for another node.",
        "",
        "| parameter | type | default | range | can change | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for spec in TABLE:
        default = f"`{json.dumps(spec.default, ensure_ascii=False)}`"
        bounds = f"{spec.low:.12g} to {spec.high:.12g}" if spec.low is not None and spec.high is not None else ""
        choices = ", ".join(f"`{choice}`" for choice in spec.choices)
        when = "at any time" if spec.live else "while not active"
        text = spec.description.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{spec.name}` | {spec.kind} | {default} | {bounds or choices} | {when} | {text} |")
    return "\n".join([*lines, ""])


def files() -> dict[Path, str]:
    """Path, relative to the repository, and text of each file."""
    return {
        Path("config/seg.param.yaml"): parameter_file(),
        Path("config/seg.param.schema.json"): json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        Path("docs/parameters.md"): reference(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).write_text(text, encoding="utf-8")

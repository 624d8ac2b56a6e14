"""docs/report.schema.json says what report.py says, and refuses what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, is_typeddict

import jsonschema
import pytest

from unet_seg_ros.metrics import figures
from unet_seg_ros.replay import schema as report

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
TYPES = {name: kind for name, kind in (vars(figures) | vars(report)).items() if is_typeddict(kind)}


def example() -> dict[str, Any]:
    seconds = dict.fromkeys(("mean", "p50", "p95", "p99", "max"), 0.1)
    return {
        "format": 2,
        "mode": "live",
        "made_by": {
            "bag": {"path": "drive.mcap", "bytes": 1, "sha256": "0" * 64},
            "model": {"id": "tiny-0123456789ab"},
            "settings": {},
            "versions": {"unet_seg_ros": "0.1.0", "python": "3.12.0", "opencv": "5.0.0"},
            "machine": {"system": "Linux", "processor": "fast", "cores": 2, "memory": 2**34, "gpus": []},
        },
        "frames": {"sent": 2, "received": None, "processed": 1, "dropped": {"busy": 1}},
        "timing": {
            "latency": None,
            "work": seconds,
            "stages": {"wait": None},
            **dict.fromkeys(("sent", "rate", "jitter", "streaming_miou")),
        },
        "accuracy": None,
        "stability": dict.fromkeys(("flicker", "confidence", "agreement", "agreement_miou")),
        "source": {},
        "resources": {"at": [0.5], "cpu": [1.2], "memory": [10**8]},
        "verdict": [{"require": "miou>=0.6", "value": None, "passed": False, "line": "no labels"}],
        "baseline": [],
        "problems": ["cut short"],
        "bags": [],
    }


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_described_whole(name: str) -> None:
    described = SCHEMA["$defs"][name]
    assert described["properties"].keys() == TYPES[name].__annotations__.keys()
    assert described["required"] == list(described["properties"])


def test_nothing_else_is_described() -> None:
    assert SCHEMA["$defs"].keys() == TYPES.keys()


def test_a_report_is_one() -> None:
    jsonschema.validate({**example(), "bags": [example()]}, SCHEMA)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("format", 1),
        ("mode", "dead"),
        ("frames", {"sent": -1, "received": 0, "processed": 0, "dropped": {}}),
        ("timing", {**example()["timing"], "stages": {"thinking": None}}),
        ("stability", {**example()["stability"], "flicker": 1.5}),
        ("bags", [{}]),
        ("more", 1),
    ],
)
def test_what_is_none_is_refused(part: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**example(), part: value}, SCHEMA)

"""docs/report.schema.json is made from the types of a report, and it refuses other files."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tools import report_schema
from unet_seg_ros.metrics.figures import Stability

SCHEMA = json.loads(report_schema.PATH.read_text(encoding="utf-8"))


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
        "trust": {"p05": 0.2, "p50": 0.9, "distrusted": 0.1, "causes": {"dark": 1}},
        "source": {},
        "resources": {"at": [0.5], "cpu": [1.2], "memory": [10**8]},
        "verdict": [{"require": "miou>=0.6", "value": None, "passed": False, "line": "no labels"}],
        "baseline": [],
        "problems": ["cut short"],
        "bags": [],
    }


def test_the_file_is_a_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_file_is_made_from_the_types() -> None:
    assert report_schema.PATH.read_text(encoding="utf-8") == report_schema.text(), "run python -m tools.report_schema"


def test_a_type_is_described_with_its_limits() -> None:
    found: dict[str, Any] = {}
    assert report_schema.described(Stability | None, found) == {
        "anyOf": [{"$ref": "#/$defs/Stability"}, {"type": "null"}]
    }
    assert found["Stability"]["properties"]["confidence"] == {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "Mean probability of the predicted class.",
    }
    assert found["Stability"]["required"] == ["flicker", "confidence", "agreement", "agreement_miou"]
    assert report_schema.described(list[dict[str, Any]], {}) == {"type": "array", "items": {"type": "object"}}
    with pytest.raises(KeyError):
        report_schema.described(set[int], {})


def test_a_report_is_valid() -> None:
    jsonschema.validate({**example(), "bags": [example()]}, SCHEMA)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("format", 1),
        ("mode", "dead"),
        ("frames", {"sent": -1, "received": 0, "processed": 0, "dropped": {}}),
        ("timing", {**example()["timing"], "stages": {"thinking": None}}),
        ("stability", {**example()["stability"], "flicker": 1.5}),
        ("trust", {**example()["trust"], "p05": -0.1}),
        ("bags", [{}]),
        ("made_by", {**example()["made_by"], "bag": {}}),
        ("made_by", {**example()["made_by"], "against": {"id": "tiny", "device": "cpu"}}),
        ("made_by", {**example()["made_by"], "model": {"id": "tiny", "sha256": "0" * 63}}),
        ("made_by", {**example()["made_by"], "versions": {"python": "3.12.0"}}),
        ("more", 1),
    ],
)
def test_a_wrong_report_is_refused(part: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**example(), part: value}, SCHEMA)

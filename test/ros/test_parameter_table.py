"""The table of parameters, and all that is made from it."""

from __future__ import annotations

import math
import re
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools import parameter_files
from unet_seg_ros.ros.parameter_table import TABLE, Spec, coerced, names_of, spec_of
from unet_seg_ros.ros.settings import Settings

DEFAULTS: dict[str, Any] = {name: spec.default for name, spec in names_of(["camera"], []).items()}


def test_the_files_made_from_the_table_are_up_to_date() -> None:
    for path, text in parameter_files.files().items():
        assert (parameter_files.ROOT / path).read_text(encoding="utf-8") == text, (
            f"run tools/parameter_files.py: {path}"
        )


def test_the_parameter_file_holds_the_defaults() -> None:
    text = parameter_files.parameter_file()
    given = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert {name: coerced(spec_of(name), name, value) for name, value in given.items()} == {  # type: ignore[arg-type]
        spec.name: list(spec.default) if isinstance(spec.default, tuple) else spec.default
        for spec in TABLE
        if "<" not in spec.name
    }
    examples = yaml.safe_load("\n".join(re.findall(r"^ *# ([a-z_.]+: .*)$", text, re.MULTILINE)))
    for name, value in examples.items():
        spec = spec_of(name)
        assert spec, name
        coerced(spec, name, value)


def test_the_schema_accepts_the_file_and_refuses_what_the_node_refuses() -> None:
    schema = parameter_files.schema()
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(parameter_files.parameter_file()), schema)
    good = {"region.ego.polygon": [0, 0, 1, 0, 1, 1], "max_rate.front": 5, "use_sim_time": True}
    jsonschema.validate({"/ego/segmentation": {"ros__parameters": good}}, schema)
    for bad in ({"modle": "x"}, {"transport": "foo"}, {"confidence_threshold": 2}, {"region.ego.polygons": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"/**": {"ros__parameters": bad}}, schema)


def test_every_parameter_is_used() -> None:
    class Read(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            read.add(name)
            return super().__getitem__(name)

    read: set[str] = set()
    names = names_of(["camera"], ["ego"])
    values = {name: spec.default for name, spec in names.items()}
    Settings.of(Read(values | {"regions": ["ego"], "region.ego.polygon": (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)}))
    assert names.keys() - read == {"autostart", "bond_heartbeat_period"}  # the node reads this parameter itself


def test_the_defaults_are_valid_settings() -> None:
    settings = Settings.of(DEFAULTS)
    assert list(settings.cameras) == ["camera"]
    assert settings.cameras["camera"].max_rate == 0.0


def test_a_camera_can_have_its_own_rates() -> None:
    names = names_of(["a", "b"], [])
    values = {name: spec.default for name, spec in names.items()} | {"cameras": ["a", "b"], "max_rate": 10.0}
    cameras = Settings.of(values | {"max_rate.b": 0.0, "expected_rate.b": 30.0}).cameras
    assert [camera.max_rate for camera in cameras.values()] == [10.0, 0.0]
    assert [camera.expected_rate for camera in cameras.values()] == [0.0, 30.0]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("threads", 1.0, "threads: must be a whole number, not 1.0"),
        ("threads", True, "threads: must be a whole number, not True"),
        ("threads", 2000, "threads: must be 0 to 1024, not 2000"),
        ("confidence_threshold", "high", "confidence_threshold: must be a number, not 'high'"),
        ("confidence_threshold", float("nan"), "confidence_threshold: must be 0 to 1, not nan"),
        ("cameras", "front", "cameras: must be a list of texts, not 'front'"),
        ("cameras", [1], "cameras: must be a list of texts, not [1]"),
        ("region.ego.polygon", [0, "a"], "region.ego.polygon: must be a list of numbers"),
        ("autostart", "yes", "autostart: must be true or false, not 'yes'"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any, says: str) -> None:
    spec = spec_of(name)
    assert spec
    with pytest.raises(ValueError, match=re.escape(says)):
        coerced(spec, name, value)


@given(st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.lists(st.one_of(st.integers(), st.text()))))
def test_any_value_is_converted_or_gives_an_error_of_one_line(value: Any) -> None:
    kinds = {"string": str, "integer": int, "number": float, "boolean": bool, "strings": list, "numbers": list}
    for name, spec in names_of(["camera"], ["ego"]).items():
        try:
            made = coerced(spec, name, value)
        except ValueError as error:
            made = str(error)
        assert isinstance(made, kinds[spec.kind]) or made.startswith(f"{name}: must be ")


def test_a_family_matches_its_names() -> None:
    assert spec_of("region.ego.polygon") is spec_of("region._b2.polygon")
    assert isinstance(spec_of("ignore.front"), Spec)
    assert [spec_of(name) for name in ("region.2.polygon", "region.a.b.polygon", "ignore", "max_rate.")] == [None] * 4


@pytest.mark.parametrize("value", [[0.0, 0.0, math.inf, 1.0], [math.nan], [10**400]])
def test_numbers_must_be_finite(value: list[float]) -> None:
    spec = spec_of("ground.area")
    assert spec
    with pytest.raises(ValueError, match=r"^ground\.area: must be finite, not "):
        coerced(spec, "ground.area", value)

"""Run configurations: an error is one line with the file and the field."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.config import AugmentConfig, TrainConfig, ValidationConfig, from_dict, load

ROOT = Path(__file__).parents[2]
SOURCE = {"name": "town", "root": "data/town", "split": "train", "class_map": "cityscapes", "terms": "free"}
RUN = {"model": "nano", "data": [SOURCE], "steps": 300, "max_pixels": 172800, "crop": [352, 480]}


def write(folder: Path, values: Any) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "training/configs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_configurations_are_read(path: Path) -> None:
    assert isinstance(load(path), TrainConfig)


def test_a_written_configuration_is_read_unchanged(tmp_path: Path) -> None:
    source = {**SOURCE, "augment": {"scale": [1, 2.5]}, "weight": 3}
    config = load(write(tmp_path, {**RUN, "batch": 4, "data": [source]}))
    assert (config.batch, config.crop, config.learning_rate) == (4, (352, 480), 1.5e-3)
    assert (config.data[0].augment, config.data[0].weight) == (AugmentConfig(scale=(1, 2.5)), 3)
    assert config.augment == AugmentConfig()
    assert config.validation is None
    config = dataclasses.replace(config, validation=ValidationConfig("data/town", cities=("a", "b")))
    assert from_dict(json.loads(json.dumps(dataclasses.asdict(config))), "a checkpoint") == config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", "huge", "model must be one of"),
        ("model", 3, "model must be text, not 3"),
        ("data", [], "data must name at least one"),
        ("data", "data/town", "data must be a list"),
        ("data", None, "data must be a list"),
        ("data", [3], "data[0]: must be a mapping"),
        ("steps", 0, "steps must be above 0"),
        ("steps", "many", "steps must be a whole number, not 'many'"),
        ("steps", 1.5, "steps must be a whole number, not 1.5"),
        ("steps", True, "steps must be a whole number, not True"),
        ("steps", None, "steps must be a whole number, not None"),
        ("max_pixels", -1, "max_pixels must be above 0"),
        ("crop", 352, "crop must be a list of 2 whole numbers"),
        ("crop", [352], "crop must be a list of 2 whole numbers"),
        ("crop", [352, 480.0], "crop must be a list of 2 whole numbers"),
        ("crop", [350, 480], "crop must be [height, width], multiples of 32 for nano, not [350, 480]"),
        ("crop", [0, 480], "crop must be"),
        ("batch", 0, "batch must be above 0"),
        ("batch", 10**8, "batch must be at most 4096"),
        ("steps", 10**9, "steps × batch must be at most 100,000,000"),
        ("learning_rate", "1e-3", "learning_rate must be a finite number (1.0e-3, not 1e-3), not '1e-3'"),
        ("learning_rate", 0, "learning_rate must be above 0"),
        ("learning_rate", float("nan"), "learning_rate must be a finite number"),
        ("weight_decay", -0.1, "weight_decay must not be negative"),
        ("warmup", 300, "warmup must be in 0..299 steps, not 300"),
        ("ema_decay", 1, "ema_decay must be in 0..1"),
        ("init", 3, "init must be text"),
        ("seed", -1, "seed must not be negative"),
        ("save_every", 0, "save_every must be above 0"),
        ("accumulate", 3, "batch (8) must be a multiple of accumulate"),
        ("accumulate", 0, "accumulate must be above 0"),
        ("schedule", "step", "schedule must be one of ('poly', 'cosine', 'trapezoid'), not 'step'"),
        ("clip", 0, "clip must be above 0"),
        ("compile", "yes", "compile must be true or false, not 'yes'"),
        ("keep", 0, "keep must be above 0"),
        ("validation", 3, "validation: must be a mapping"),
        ("validation", {"root": "x", "every": 0}, "validation: every must be above 0"),
        ("validation", {"root": "x", "cities": "a"}, "validation: cities must be a list of texts, not 'a'"),
        ("validation", {"root": "x", "cities": [1]}, "validation: cities must be a list of texts"),
        ("validation", {"root": "x", "grouping": "kitti"}, "validation: grouping must be one of cityscapes19"),
        ("validation", {"folder": "x"}, "validation: unknown folder; there are cities, class_map, every"),
        ("validation", {}, "validation: root missing"),
        ("augment", None, "augment must be a mapping, not None"),
        ("augment", {"scale": [2, 1]}, "augment: scale must be [low, high] above 0, not [2, 1]"),
        ("augment", {"scale": [0, 1]}, "augment: scale must be [low, high] above 0"),
        ("augment", {"scale": [1]}, "augment: scale must be a list of 2 numbers"),
        ("augment", {"scale": 1.0}, "augment: scale must be a list of 2 numbers"),
        ("augment", {"stretch": 0.8}, "augment: stretch must be in 1..4, not 0.8"),
        ("augment", {"noise": -0.1}, "augment: noise must be in 0..1, not -0.1"),
        ("half_steps", -1, "half_steps must not be negative"),
        ("half_steps", 1, "with half_steps, crop must be multiples of 64 for nano, not [352, 480]"),
        ("schedule", "trapezoid", "cooldown must be in 1..100 steps, not 0"),
        ("cooldown", 10, "cooldown is only for the schedule trapezoid"),
        ("restarts", [100], "restarts are only for the schedule trapezoid"),
        ("restarts", [0.5], "restarts must be a list of whole numbers, not"),
        ("restarts", 100, "restarts must be a list of whole numbers, not 100"),
        ("epochs", 3, "unknown epochs; there are accumulate, augment, batch"),
        (3, 3, "unknown 3"),
        ("stepps", 3, "unknown stepps; did you mean steps? There are accumulate, augment"),
        ("max_pixels", 2**26 + 1, "max_pixels must be at most 67108864, not 67108865"),
        ("crop", [32 * 200, 32 * 200], "crop must have at most 16777216 pixels, not [6400, 6400]"),
        ("learning_rate", 1e308, "learning_rate must be at most 10, not 1e+308"),
        ("weight_decay", 10.1, "weight_decay must be at most 10, not 10.1"),
        ("seed", 2**32, "seed must be at most 4294967295, not 4294967296"),
        ("augment", {"scale": [1e-6, 1]}, "augment: scale must be in 0.1..10, not [1e-06, 1]"),
        ("augment", {"scale": [1, 11]}, "augment: scale must be in 0.1..10, not [1, 11]"),
        ("augment", {"colour": 0.1}, "augment: unknown colour; did you mean color? There are blur, color"),
        ("data", [SOURCE, dict(SOURCE)], "data: two folders have the name 'town'; give each its own"),
        ("data", [{**SOURCE, "name": f"{n}", "terms": "t" * 3000} for n in range(2)], "terms of all folders together"),
    ],
)
def test_a_bad_value_of_the_run_is_named(field: Any, value: Any, message: str, tmp_path: Path) -> None:
    refused(write(tmp_path, {**RUN, field: value}), message)


def test_more_half_steps_than_steps_are_refused(tmp_path: Path) -> None:
    """The whole run would be at half the size, as with a shipped configuration and the override steps=200."""
    run = {**RUN, "crop": [320, 448], "half_steps": 300}
    assert load(write(tmp_path, run)).half_steps == 300
    refused(write(tmp_path, {**run, "half_steps": 301}), "half_steps must be at most 300 (steps), not 301")


@pytest.mark.parametrize("restarts", [[-50], [20], [250, 200], [200, 220], [290], [300], [400]])
def test_restarts_that_leave_no_time_for_a_cooldown_are_refused(restarts: list[int], tmp_path: Path) -> None:
    run = {**RUN, "schedule": "trapezoid", "cooldown": 40, "restarts": restarts}
    refused(write(tmp_path, run), "restarts must be steps that rise by at least the cooldown (40), the last of them")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("labels", "gtMedium", "labels must be one of ('gtFine', 'gtCoarse'), not 'gtMedium'"),
        ("leave_out", "town", "leave_out must be a list of texts, not 'town'"),
        ("uniform", 1.5, "uniform must be in 0..1, not 1.5"),
        ("weight", 0, "weight must be above 0"),
        ("weight", float("inf"), "weight must be a finite number"),
        ("augment", {"color": 1.5}, "augment: color must be in 0..1"),
        ("augment", {"zoom": 1.5}, "augment: unknown zoom; there are blur, color"),
        ("scale", [1, 2], "unknown scale"),
        ("root", None, "root must be text, not None"),
        ("name", "", "name must be printable text of 1 to 100 characters, not ''"),
        ("name", "a\nb", "name must be printable text of 1 to 100 characters, not 'a\\nb'"),
        ("name", "x" * 101, "name must be printable text of 1 to 100 characters"),
        ("terms", "a\x1bb", "terms must be printable text of at most 4000 characters, not 'a\\x1bb'"),
        ("terms", "x" * 4001, "terms must be printable text of at most 4000 characters"),
        ("weight", 1e300, "weight must be at most 1e+09, not 1e+300"),
        ("folder", "x", "unknown folder"),
    ],
)
def test_a_bad_value_of_a_source_is_named(field: str, value: Any, message: str, tmp_path: Path) -> None:
    refused(write(tmp_path, {**RUN, "data": [SOURCE, {**SOURCE, field: value}]}), "data[1]: ", message)


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_missing_fields_are_named(tmp_path: Path) -> None:
    refused(write(tmp_path, {"data": [SOURCE]}), "crop, max_pixels, model, steps missing")
    refused(write(tmp_path, {**RUN, "data": [{"name": "town"}]}), "data[0]: class_map, root, split, terms missing")


@pytest.mark.parametrize("data", [b"a: [", b"a: \xff\xfe", b"\x00", b"", b"- 1", b"text"])
def test_a_file_that_is_not_a_configuration_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(data)
    refused(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


def test_overrides_replace_fields(tmp_path: Path) -> None:
    path = write(tmp_path, {**RUN, "validation": {"root": "data/town"}})
    config = load(path, ["steps=500", "data.0.root=/data/a=b", "crop=[64, 96]", "validation.every=7", "compile=true"])
    assert (config.steps, config.crop, config.compile) == (500, (64, 96), True)
    assert config.data[0].root == "/data/a=b"
    assert config.validation == ValidationConfig("data/town", every=7)
    assert load(path, ["validation=null"]).validation is None


@pytest.mark.parametrize("override", ["data.7.root=x", "data.x.root=x", "steps.a=1", "data.9=1", "data.0.root.a=1"])
def test_an_override_of_an_impossible_field_is_named(override: str, tmp_path: Path) -> None:
    path = override.partition("=")[0]
    with pytest.raises(
        ValueError, match=rf"^{re.escape(override)}: there is no {re.escape(path)}; must be FIELD=VALUE"
    ):
        load(write(tmp_path, RUN), [override])


def test_an_argument_that_is_not_an_override_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^steps: must be FIELD=VALUE, such as steps=100"):
        load(write(tmp_path, RUN), ["steps"])
    with pytest.raises(ValueError, match=r"^steps=\[: not YAML"):
        load(write(tmp_path, RUN), ["steps=["])
    with pytest.raises(ValueError, match=r"nothing\.here=1: unknown nothing; there are accumulate"):
        load(write(tmp_path, RUN), ["nothing.here=1"])


def test_an_override_may_set_a_field_that_the_file_omits(tmp_path: Path) -> None:
    path = write(tmp_path, RUN)
    config = load(path, ["augment.color=0.2", "data.0.augment.scale=[1, 2]", "validation.root=there"])
    assert config.augment == AugmentConfig(color=0.2)
    assert config.data[0].augment == AugmentConfig(scale=(1, 2))
    assert config.validation == ValidationConfig("there")
    with pytest.raises(ValueError, match=r"validation: root missing"):
        load(path, ["validation.every=7"])


def test_a_bad_value_of_an_override_is_named_with_it(tmp_path: Path) -> None:
    path = write(tmp_path, RUN)
    with pytest.raises(ValueError, match=rf"^{path} steps=0: steps must be above 0"):
        load(path, ["steps=0"])
    with pytest.raises(ValueError, match=rf"^{path} stepz=1: unknown stepz"):
        load(path, ["stepz=1"])


@pytest.mark.parametrize("name", ["model", "schedule"])
def test_an_error_is_short_for_any_contents(name: str, tmp_path: Path) -> None:
    for value in ("x" * 5000, "\x1b[31m\n" * 500):
        with pytest.raises(ValueError, match=f"{name} must be one of") as error:
            load(write(tmp_path, {**RUN, name: value}))
        assert len(str(error.value)) < 1500
        assert str(error.value).isprintable()
    with pytest.raises(ValueError, match="restarts must be") as error:
        load(write(tmp_path, {**RUN, "schedule": "trapezoid", "cooldown": 10, "restarts": list(range(10_000))}))
    assert len(str(error.value)) < 1500

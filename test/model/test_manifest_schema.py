"""Manifests from outside: values that are dangerous for the network, the log or a topic are refused first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save
from torch import Tensor

from test.model.test_bundle import forge, path, problem, refusal  # noqa: F401  (path is a fixture)
from unet_seg_ros.model.bundle import load_bundle, read_tensors


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["head.weight", "head.bias"])
def test_a_weight_that_is_nan_or_infinite_is_refused(name: str, value: float, path: Path) -> None:  # noqa: F811
    def change(tensors: dict[str, Tensor], manifest: dict[str, Any], metadata: dict[str, str]) -> None:
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[0] = value

    forge(path, change)
    assert f"{name} holds NaN or infinity" in refusal(path)


FIELDS: dict[str, Any] = {
    "name": ["", 5, None, "a\nb", "x" * 10_000, "\ud800", ["a"], "\x1b[31m"],
    "class_names": [[1] * 19, [{}] * 19, ["\ud800"] * 19, ["a\nb"] * 19, [""] * 19, "x" * 19, ["x" * 200] * 19, []],
    "class_ids": [[0.0] * 19, [True] * 19, [-1] * 19, [256] * 19, "x"],
    "palette": [[[0, 0, 0.5]] * 19, [[0, 0]] * 19, [[0, 0, 300]] * 19, [["a", 0, 0]] * 19],
    "mean": [[1e39, 0, 0], ["a", 0, 0], [float("nan"), 0, 0], [0, 0], None, [10**400, 0, 0]],
    "std": [[1e-39, 1, 1], [1e39, 1, 1], [0, 1, 1], [float("inf"), 1, 1], [True, 1, 1]],
    "max_pixels": [10**12, -5, 0, 2.5, True, "many"],
    "data": [{"a": 5}, {"a": "\ud800"}, ["a"], {"a": "b\nc"}],
    "data_terms": [5, "x" * 10**5, "\x1b]0;title\x07", "\ud800"],
    "metrics": [[], "x"],
    "code_version": [1.0, "1\n2"],
    "surprise": [1],
}
CONFIGS: dict[str, Any] = {
    "depths": [[10**9, 1], [0, 1], [1.5, 1], [True, 1], "ab", [[1], [1]]],
    "widths": [[10**9, 8], [-1, 8], [4] * 60],
    "stem_stride": [0, 3, 2.0, 10**9],
    "decoder_convs": [10**9, 0],
    "num_classes": [10**9, 0, 2.0],
    "residual": [1, "yes", None],
    "surprise": [1],
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_another_type_or_size_is_refused(field: str, path: Path) -> None:  # noqa: F811
    whole = path.read_bytes()
    for value in FIELDS[field]:
        path.write_bytes(whole)
        forge(path, lambda tensors, manifest, metadata, value=value: manifest.update({field: value}))  # type: ignore[misc]
        says = refusal(path)
        assert field in says, value
        assert says.isprintable()
        assert len(says) < 1000


@pytest.mark.parametrize("field", CONFIGS)
def test_an_enormous_configuration_is_refused_at_once(field: str, path: Path) -> None:  # noqa: F811
    whole = path.read_bytes()
    for value in CONFIGS[field]:
        path.write_bytes(whole)
        start = time.monotonic()
        forge(path, lambda tensors, manifest, metadata, value=value: manifest["config"].update({field: value}))  # type: ignore[misc]
        assert field in refusal(path), value
        assert time.monotonic() - start < 20  # a billion blocks take hours


def test_a_manifest_of_another_shape_is_refused(path: Path) -> None:  # noqa: F811
    tensors = {name: tensor.clone() for name, tensor in read_tensors(path)[0].items()}  # the file is written again

    for text in ("[" * 100_000, "{" * 5, "null", "5", '"x"', "[]", '{"config": 5}', "{}", " " * 2**21, "\x00"):
        path.write_bytes(save(tensors, {"format": "1", "manifest": text, "sha256": "x"}))
        assert "its manifest is not valid" in refusal(path)


def test_a_bundle_that_loads_gives_finite_logits(path: Path) -> None:  # noqa: F811
    assert problem(path) is None
    assert all(np.isfinite(array).all() for array in load_bundle(path).tensors.values())

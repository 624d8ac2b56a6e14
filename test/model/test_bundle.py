"""Model bundles: what is written is read, and what is broken is refused in one line that names the file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from unet_seg_ros import files
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.model import bundle as module
from unet_seg_ros.model.bundle import (
    BundleError,
    Manifest,
    load_bundle,
    read_tensors,
    save_bundle,
    write_tensors,
)
from unet_seg_ros.model.unet import UNet, UNetConfig

CONFIG = UNetConfig(widths=(4, 8), depths=(1, 1))
MANIFEST = Manifest(
    "small", CONFIG, 1000, data={"town": "abc"}, data_terms="free", metrics={"mIoU": {"val": 0.5}}, code_version="0.1"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_bundle(tmp_path / "small.safetensors", UNet(CONFIG), MANIFEST)
    return tmp_path / "small.safetensors"


def problem(path: Path) -> str | None:
    """The error of loading the file; None if there is none."""
    try:
        load_bundle(path)
    except BundleError as error:
        return str(error)
    return None


def refusal(path: Path) -> str:
    """The error of loading ``path``, which must be one line that starts with the file."""
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_written_bundle_is_read_unchanged(tmp_path: Path) -> None:
    model = UNet(CONFIG)
    path = tmp_path / "folder" / "small.safetensors"
    written = save_bundle(path, model, MANIFEST)
    read = load_bundle(path)
    assert read.manifest == written.manifest == MANIFEST
    assert (read.digest, read.model_id) == (written.digest, f"small-{read.digest[:12]}")
    assert read.tensors.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        rounded = tensor.half().float() if tensor.ndim == 4 else tensor
        np.testing.assert_array_equal(read.tensors[name], rounded.numpy())
        np.testing.assert_array_equal(read.tensors[name], written.tensors[name])
        assert read.tensors[name].dtype == rounded.numpy().dtype
    assert os.stat(path).st_mode & 0o777 == 0o644


def test_the_digest_depends_on_manifest_and_tensors(path: Path) -> None:
    read = load_bundle(path)
    other = save_bundle(path, read.build(), dataclasses.replace(MANIFEST, data_terms="paid"))
    model = read.build()
    with torch.no_grad():
        model.head.bias[0] += 1
    assert len({read.digest, other.digest, save_bundle(path, model, MANIFEST).digest}) == 3
    assert save_bundle(path, read.build(), MANIFEST).digest == read.digest


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.safetensors").endswith("no such file")
    assert "not a complete safetensors file" in refusal(tmp_path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    lengths = {*range(0, 40), *np.linspace(0, len(data) - 1, 60).astype(int).tolist(), len(data) - 1}
    for length in lengths:
        path.write_bytes(data[:length])
        assert "not a complete safetensors file" in refusal(path), length
    path.write_bytes(data + b"x")
    assert "not a complete safetensors file" in refusal(path)


@given(st.binary(max_size=200))
def test_a_file_of_another_kind_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "x.safetensors"
    path.write_bytes(data)
    assert "not a complete safetensors file" in refusal(path)


def test_any_flipped_byte_is_found(path: Path) -> None:
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    places = [*range(8), *rng.integers(8, header, 150), *rng.integers(header, len(data), 20), header, len(data) - 1]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        message = problem(path)
        if message is None:  # only spaces that pad the header are missing
            assert place < header
            assert load_bundle(path).manifest == MANIFEST
        else:
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "do not match its SHA-256" in refusal(path)


Parts = tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]


def forge(path: Path, change: Callable[[dict[str, Tensor], dict[str, Any], dict[str, str]], None]) -> None:
    """Rewrite a bundle with changed tensors, manifest (its fields) or metadata, and a digest that fits."""
    tensors, metadata = read_tensors(path)
    manifest = json.loads(metadata["manifest"])
    change(tensors, manifest, metadata)
    if "manifest" in metadata:
        metadata["manifest"] = json.dumps(manifest)
        metadata["sha256"] = module.digest(
            metadata["manifest"], {name: tensor.numpy() for name, tensor in tensors.items()}
        )
    path.write_bytes(save(tensors, metadata))


def test_files_without_a_manifest_or_of_another_format_are_refused(path: Path) -> None:
    forge(path, lambda tensors, manifest, metadata: metadata.update(format="3"))
    assert refusal(path).endswith("bundle format 3, but this version reads formats 1 and 2")
    forge(path, lambda tensors, manifest, metadata: metadata.pop("format"))
    assert "bundle format None" in refusal(path)
    forge(path, lambda tensors, manifest, metadata: metadata.pop("manifest"))
    assert "has no manifest" in refusal(path)
    path.write_bytes(save({"x": torch.zeros(3)}))
    assert "has no manifest" in refusal(path)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(150_000)}, "its header has "),
        ({"__metadata__": {"manifest": "x" * 2**23}}, "its header has "),
        ({"a": {"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 4]}}, "maximum supported dimension"),
        ({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, ""),
        ({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, ""),
        ({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, "overflow"),
    ],
)
def test_impossible_headers_are_refused(tmp_path: Path, header: dict[str, Any], says: str) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + b"1234")
    assert says in refusal(tmp_path / "a")


def test_an_edited_manifest_is_refused(path: Path) -> None:
    tensors, metadata = read_tensors(path)
    edited = metadata["manifest"].replace('"free"', '"none"')
    assert edited != metadata["manifest"]
    write_tensors(path, tensors, {**metadata, "manifest": edited})
    assert "do not match its SHA-256" in refusal(path)
    write_tensors(path, tensors, {key: value for key, value in metadata.items() if key != "sha256"})
    assert "do not match its SHA-256" in refusal(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}", '{"config": 3}', '{"config": {}}'])
def test_a_text_that_is_not_a_manifest_is_refused(path: Path, text: str) -> None:
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors, {**metadata, "manifest": text})
    assert "its manifest is not valid" in refusal(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_names": ["road"]}, "class_names, class_ids and palette need 19"),
        ({"class_ids": [*range(18), 19]}, "class_ids must be indices"),
        ({"class_ids": [*range(18), 2.0]}, "class_ids must be indices"),
        ({"class_ids": [*range(18), -1]}, "class_ids must be indices"),
        ({"class_ids": 3}, "not valid"),
        ({"palette": [[0, 0]] * 19}, "palette"),
        ({"palette": [[0, 0, 256]] * 19}, "palette"),
        ({"mean": [0.5, 0.5]}, "mean must be finite: 3 numbers"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean must be finite"),
        ({"std": [0.5, 0.5, 0]}, "std must be 3 numbers above 0"),
        ({"std": [0.5, 0.5, float("inf")]}, "std must be 3 numbers above 0"),
        ({"max_pixels": 15}, "max_pixels must be a whole number of at least 16, not 15"),
        ({"max_pixels": float("nan")}, "max_pixels"),
        ({"max_pixels": "many"}, "max_pixels"),
        ({"int8_ranges": {"stem.0": [1.0, 1.0]}}, "int8_ranges: stem.0 needs a lower and a higher number"),
        ({"int8_ranges": {"stem.0": [0.0, 1e-320]}}, "int8_ranges: stem.0 needs a lower and a higher number"),
        ({"int8_ranges": {"stem.0": [0.0, float("inf")]}}, "int8_ranges must be an object of pairs of numbers up to"),
        ({"int8_ranges": {"stem.0": [0, 10**400]}}, "int8_ranges must be an object of pairs of numbers up to"),
        ({"class_names": ["road"] * 19}, "class_names must be different from each other"),
        ({"metrics": json.loads('{"a":' * 900 + "1" + "}" * 900)}, "nested too deep"),
        ({"int8_ranges": {"stem.0": [0.0]}}, "not valid"),
        ({"surprise": 1}, "surprise"),
        ({"config": {"widths": [4, 8], "depths": [1, 1], "surprise": 1}}, "surprise"),
        ({"config": {"widths": [4, 8], "depths": [1, 1.5]}}, "depths must be 2 to 8 whole numbers"),
        ({"config": {"widths": 4, "depths": [1, 1]}}, "not valid"),
        ({"config": {"widths": [], "depths": []}}, "widths must be 2 to 8 whole numbers"),
    ],
)
def test_a_wrong_manifest_is_refused(path: Path, fields: dict[str, Any], message: str) -> None:
    forge(path, lambda tensors, manifest, metadata: manifest.update(fields))
    assert "its manifest is not valid" in refusal(path)
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (lambda tensors: tensors.pop("head.bias"), "1 tensors do not fit its manifest, the first is head.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "the first is extra"),
        (lambda tensors: tensors.update({"head.bias": torch.zeros(20)}), "the first is head.bias"),
        (lambda tensors: tensors.update({"head.bias": torch.zeros(19).half()}), "the first is head.bias"),
    ],
    ids=["missing", "extra", "shape", "type"],
)
def test_tensors_of_another_network_are_refused(
    path: Path, change: Callable[[dict[str, Tensor]], None], first: str
) -> None:
    forge(path, lambda tensors, manifest, metadata: change(tensors))
    assert first in refusal(path)


@pytest.mark.parametrize("variance", [-1.0, -1e-30])
def test_a_negative_variance_is_refused(path: Path, variance: float) -> None:
    """A rectifier makes 0 of what is not a number, so that no logit would tell."""
    name = "encoder.0.0.body.0.1.running_var"

    def change(tensors: dict[str, Tensor], manifest: dict[str, Any], metadata: dict[str, str]) -> None:
        manifest["config"]["norm"] = True
        model = UNet(dataclasses.replace(CONFIG, norm=True))
        tensors.clear()
        tensors.update(model.state_dict())
        tensors[name][0] = variance

    forge(path, change)
    assert f"{name} must not be negative" in refusal(path)


def test_a_manifest_of_another_network_is_refused(path: Path) -> None:
    forge(path, lambda tensors, manifest, metadata: manifest["config"].update(widths=[4, 16]))
    assert "tensors do not fit its manifest" in refusal(path)


def test_a_manifest_without_the_field_norm_is_read(path: Path) -> None:
    forge(path, lambda tensors, manifest, metadata: manifest["config"].pop("norm"))
    assert load_bundle(path).manifest.config == CONFIG


def test_a_bundle_of_format_1_has_all_weights_in_32_bits(path: Path) -> None:
    model = UNet(CONFIG)

    def before(tensors: dict[str, Tensor], manifest: dict[str, Any], metadata: dict[str, str]) -> None:
        tensors.update(model.state_dict())
        metadata["format"] = "1"
        for name in ("int8_ranges", "int8_checks"):
            del manifest[name]

    forge(path, before)
    read = load_bundle(path).build().state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


def test_a_weight_too_large_for_16_bits_is_stored_in_32(path: Path) -> None:
    model = UNet(CONFIG)
    with torch.no_grad():
        model.head.weight[0, 0] = 1e6
    save_bundle(path, model, MANIFEST)
    np.testing.assert_array_equal(load_bundle(path).tensors["head.weight"], model.head.weight.detach().numpy())


def test_reading_a_bundle_needs_no_pytorch(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from unet_seg_ros.model.bundle import load_bundle;"
        f"load_bundle(Path({str(path)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_manifest_says_whether_the_network_is_folded(path: Path) -> None:
    forge(path, lambda tensors, manifest, metadata: manifest["config"].update(norm=False))
    assert "tensors do not fit its manifest" in refusal(path)


def test_wrong_class_tables_are_refused() -> None:
    ids = (*range(18), 255)
    assert dataclasses.replace(MANIFEST, class_ids=ids).class_ids == ids
    merged = (0,) * 19
    assert dataclasses.replace(MANIFEST, class_ids=merged).class_ids == merged
    with pytest.raises(ValueError, match="need 19 entries"):
        dataclasses.replace(MANIFEST, class_names=CLASS_NAMES[:-1])


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file(path: Path, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError("no space left")

    before = path.read_bytes()
    monkeypatch.setattr(files.os, function, fail)
    for target in (path, path.with_name("new.safetensors")):
        with pytest.raises(OSError, match="no space left"):
            write_tensors(target, {"x": torch.zeros(3)}, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_digest_is_the_documented_sha256() -> None:
    tensors: dict[str, Any] = {"b": np.array([1.5, -2], np.float32), "a": np.array(7)}
    parts = [b"text", b"a torch.int64 ()", np.int64(7).tobytes(), b"b torch.float32 (2,)"]
    expected = hashlib.sha256(b"".join([*parts, np.array([1.5, -2], np.float32).tobytes()])).hexdigest()
    assert module.digest("text", tensors) == expected

"""A run's checkpoint as a bundle and as ONNX, compared before it is written."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from training import export as module
from training.config import DataConfig, TrainConfig, ValidationConfig
from training.export import data_and_terms, export, main
from training.run.checkpoint import BEST, path_of
from unet_seg_ros import __version__
from unet_seg_ros.model.bundle import BundleError, Manifest, load_bundle, read_tensors, save_bundle, write_tensors
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.unet import CONFIGS, UNet

MakeRun = Callable[..., TrainConfig]


def network(seed: int) -> UNet:
    """A tiny network in eval mode whose normalisations hold values as after training."""
    torch.manual_seed(seed)
    model = UNet(CONFIGS["tiny"])
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(2, 3, 32, 48))
    return model.eval()


def write_checkpoint(path: Path, config: TrainConfig, averaged: UNet) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in network(99).state_dict().items()}
    tensors |= {f"ema.{name}": tensor for name, tensor in averaged.state_dict().items()}
    step = int(found[1]) if (found := re.search(r"-(\d{8})", path.name)) else 3
    values = {"step": step, "best": 0.5, "random": {}, "config": dataclasses.asdict(config)}
    write_tensors(path, tensors, {name: json.dumps(value) for name, value in values.items()})


def same(one: UNet, other: UNet) -> bool:
    image = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        return bool((one(image) - other(image)).abs().max() < 2e-3)


def test_the_bundle_is_the_averaged_network_folded(
    tiny_run: MakeRun, town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, model = tiny_run(), network(0)
    write_checkpoint(path_of(tmp_path / "run", 3), config, model)
    output = tmp_path / "out" / "tiny.safetensors"
    export(tmp_path / "run", output, "unet_tiny", {"mIoU": 0.5})
    bundle = load_bundle(output)
    assert bundle.manifest == Manifest(
        "unet_tiny",
        dataclasses.replace(model.config, norm=False),
        config.max_pixels,
        data={"town": sha256(town, *town.rglob("*.png"))},
        data_terms="free",
        metrics={"mIoU": 0.5},
        code_version=__version__,
    )
    expected = fold(model).state_dict()
    assert bundle.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        rounded = tensor.half().float() if tensor.ndim == 4 else tensor
        np.testing.assert_array_equal(bundle.tensors[name], rounded.numpy())
    assert same(bundle.build(), model)
    assert not same(bundle.build(), network(99)), "the test would prove nothing"
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    printed = capsys.readouterr().out
    assert "4 frames" in printed
    assert printed.count("masks agree on") == 2


def test_the_best_the_last_or_the_given_checkpoint_is_exported(tiny_run: MakeRun, tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "tiny.safetensors"
    for step in (1, 2):
        write_checkpoint(path_of(run, step), tiny_run(), network(step))
    assert same(export(run, output, "x", {}).build(), network(2))
    write_checkpoint(run / BEST, tiny_run(), network(3))
    assert same(export(run, output, "x", {}).build(), network(3))
    assert same(export(path_of(run, 1), output, "x", {}).build(), network(1))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_after_a_damaged_checkpoint_another_one_is_exported(
    tiny_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, output = tmp_path / "run", tmp_path / "tiny.safetensors"
    paths = [run / BEST, path_of(run, 2), path_of(run, 1)]
    for number, path in enumerate(paths):
        write_checkpoint(path, tiny_run(), network(number))
    damage(run / BEST)
    assert same(export(run, output, "x", {}).build(), network(1))
    told = capsys.readouterr()
    assert re.fullmatch(rf"{run / BEST}: not a complete .*; trying the next checkpoint\n", told.err)
    assert f"compared with {path_of(run, 2)}" in told.out
    shutil.copy(path_of(run, 1), path_of(run, 2))  # its name says a later step
    assert same(export(run, output, "x", {}).build(), network(2))
    assert f"{path_of(run, 2)}: it holds step 1, so it was renamed or copied" in capsys.readouterr().err
    damage(path_of(run, 1))
    before = output.read_bytes()
    for given, says in ((run, "all checkpoints are damaged"), (run / BEST, "name another checkpoint")):
        with pytest.raises(BundleError, match=f": not a complete .*; {says}$"):
            export(given, output, "x", {})
    assert output.read_bytes() == before


def sha256(root: Path, *paths: Path) -> str:
    lines = sorted(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_fingerprints_depend_on_the_training_data(tiny_run: MakeRun, town: Path) -> None:
    mine = list(town.rglob("*.png"))
    for kind in ("leftImg8bit", "gtFine"):
        (town / kind / "train" / "left").mkdir()
        for path in (town / kind / "train" / "town").iterdir():
            shutil.copy(path, path.parents[1] / "left" / path.name.replace("town", "left"))
    shutil.copytree(town / "gtFine", town / "gtCoarse")
    for path in (town / "gtCoarse").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("gtFine", "gtCoarse")))
    config = tiny_run()
    fine = dataclasses.replace(config.data[0], leave_out=("left",))
    coarse = dataclasses.replace(config.data[0], name="coarse", labels="gtCoarse")
    data, _ = data_and_terms(dataclasses.replace(config, data=(fine, coarse)))
    coarsely = (town / "leftImg8bit").rglob("*.png"), (town / "gtCoarse").rglob("*.png")
    assert data == {"town": sha256(town, *mine), "coarse": sha256(town, *itertools.chain(*coarsely))}


def test_data_and_terms_of_the_initial_bundle_are_kept(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    config = tiny_run(init=str(start))
    other = DataConfig("other", str(town), "train", "cityscapes", "paid")
    model = network(0)
    manifest = Manifest("start", model.config, 1000, data={"town": "abc", "far": "def"}, data_terms="secret; free")
    save_bundle(start, model, manifest)
    data, terms = data_and_terms(dataclasses.replace(config, data=(*config.data, other)))
    own = sha256(town, *town.rglob("*.png"))
    assert data == {"town": f"abc, {own}", "far": "def", "other": own}
    assert terms == "secret; free; paid"


def test_frames_come_from_the_validation_data(tiny_run: MakeRun, tmp_path: Path) -> None:
    validation = ValidationConfig(str(tmp_path / "elsewhere"), "val")
    write_checkpoint(path_of(tmp_path, 1), tiny_run(validation=validation), network(0))
    with pytest.raises(FileNotFoundError, match=r"elsewhere/leftImg8bit/val: no images"):
        export(tmp_path, tmp_path / "x.safetensors", "x", {})
    frame = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    export(tmp_path, tmp_path / "x.safetensors", "x", {}, [frame])


def test_onnx_is_written_as_well(tiny_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(path_of(tmp_path / "run", 3), tiny_run(), network(0))
    output, onnx = tmp_path / "tiny.safetensors", tmp_path / "elsewhere" / "tiny.onnx"
    bundle = export(tmp_path / "run", output, "unet_tiny", {}, onnx=onnx)
    assert capsys.readouterr().out.count("masks agree on") == 3
    session = onnxruntime.InferenceSession(str(onnx))
    assert session.get_modelmeta().custom_metadata_map["model_id"] == bundle.model_id
    image = torch.randn(1, 3, 36, 52)
    with torch.inference_mode():
        expected = bundle.build()(image)
    actual = session.run(None, {"images": image.numpy()})[0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "town", output.name, "elsewhere"}
    assert [path.name for path in onnx.parent.iterdir()] == [onnx.name]


def test_a_failed_export_keeps_the_old_output(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    path, output = path_of(tmp_path / "run", 3), tmp_path / "bundle.safetensors"
    output.write_text("old")
    write_checkpoint(path, tiny_run(), network(0))
    tensors, metadata = read_tensors(path)

    def refused(match: str, error: type[Exception] = BundleError) -> None:
        with pytest.raises(error, match=match) as caught:
            export(tmp_path / "run", output, "x", {})
        assert "\n" not in str(caught.value)
        assert output.read_text() == "old"
        assert {entry.name for entry in tmp_path.iterdir()} == {"run", "town", output.name}

    write_tensors(path, {**tensors, "ema.head.bias": torch.full((19,), torch.nan)}, metadata)
    refused("checkpoint-00000003.safetensors: ema.head.bias holds NaN or infinity")
    write_tensors(path, {k: v for k, v in tensors.items() if k != "ema.head.bias"}, metadata)
    refused("another shape or type, the first is ema.head.bias")
    write_tensors(path, tensors, {"step": "1"})
    refused("not the checkpoint of a training run")
    write_tensors(path, tensors, {**metadata, "config": "{"})
    refused("not JSON")
    edited = {**json.loads(metadata["config"]), "model": "huge"}
    write_tensors(path, tensors, {**metadata, "config": json.dumps(edited)})
    refused("model must be one of", ValueError)
    path.write_bytes(path.read_bytes()[:-10])
    refused("not a complete safetensors file")
    path.unlink()
    refused("no checkpoint")
    write_tensors(path, tensors, metadata)
    for image in town.rglob("*_leftImg8bit.png"):
        image.unlink()
    refused("no images named", FileNotFoundError)


def nudged(model: UNet, by: float) -> UNet:
    """A folded network whose second class has a logit that is too large by ``by``."""
    folded = fold(model)
    with torch.no_grad():
        folded.head.bias[1] += by
    return folded


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (0.05, "bundle does not compute what"),
        (torch.inf, "head.bias holds NaN or infinity"),
        (torch.nan, "head.bias holds NaN or infinity"),
    ],
)
def test_a_bundle_that_computes_something_else_is_refused(
    by: float, why: str, tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(path_of(tmp_path, 3), tiny_run(), network(0))
    output = tmp_path / "bundle.safetensors"
    output.write_text("old")
    monkeypatch.setattr(module, "fold", lambda model: nudged(model, by))
    with pytest.raises(BundleError, match=rf"^{output}: not written, {why}"):
        export(tmp_path, output, "x", {})
    assert output.read_text() == "old"


def test_a_different_onnx_is_refused_and_no_bundle_is_written(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(path_of(tmp_path, 3), tiny_run(), network(0))
    output, onnx = tmp_path / "bundle.safetensors", tmp_path / "bundle.onnx"
    onnx.write_text("old")

    def wrong(path: Path) -> Callable[[Tensor], Tensor]:
        return lambda images: network(0)(images) + 0.01 * torch.arange(19)[:, None, None]

    monkeypatch.setattr(module, "write_onnx", lambda path, bundle: path.write_text("new"))
    monkeypatch.setattr(module, "onnx_forward", wrong)
    with pytest.raises(BundleError, match=rf"^{onnx}: not written, ONNX in onnxruntime does not compute what"):
        export(tmp_path, output, "x", {}, onnx=onnx)
    assert onnx.read_text() == "old"
    assert not output.exists()


def test_the_command_exports_or_prints_one_line(
    tiny_run: MakeRun, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(path_of(tmp_path / "run", 3), tiny_run(), network(0))
    metrics, output = tmp_path / "metrics.json", tmp_path / "x.safetensors"

    def command(run: Path, *options: str) -> None:
        monkeypatch.setattr(sys, "argv", ["export", str(run), str(output), "--name", "x", *options])
        main()

    metrics.write_text('{"val": {"mIoU": 0.5}}')
    command(tmp_path / "run", "--metrics", str(metrics), "--frames", str(town), "train")
    bundle = load_bundle(output)
    assert bundle.manifest.metrics == {"val": {"mIoU": 0.5}}
    assert capsys.readouterr().out.endswith(f"{output}: {bundle.model_id}\n")
    metrics.write_text("[]")
    for run, options, message in (
        (tmp_path, [], f"{tmp_path}: no checkpoint of a training run"),
        (tmp_path / "run", ["--metrics", str(metrics)], f"{metrics}: must hold a JSON object"),
        (tmp_path / "run", ["--metrics", "/dev/zero"], "/dev/zero is not a regular file"),
        (tmp_path / "run", ["--onnx", str(town)], f"{town}: is a folder; name a file"),
        (tmp_path / "run", ["--name", "a\nb"], r"name must be printable text of at most 100 characters, not a\\nb"),
        (tmp_path / "run", ["--frames", str(town), "test"], f"{town}/leftImg8bit/test: no images named"),
    ):
        with pytest.raises(SystemExit, match=f"^{message}"):
            command(run, *options)


@pytest.mark.parametrize(
    ("text", "says"),
    [("[" * 10**5, "nested too deep"), ("{", "not JSON"), ("x" * 2**21, "larger than"), ("3", "JSON object")],
)
def test_metrics_that_cannot_be_read_are_refused_in_one_line(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = tmp_path / "metrics.json"
    metrics.write_text(text)
    command = ["export", str(tmp_path), str(tmp_path / "x.safetensors"), "--name", "x", "--metrics", str(metrics)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=f"^{metrics}.*{says}"):
        main()

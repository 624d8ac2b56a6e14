"""A run's checkpoint as a bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training.config import DataConfig, TrainConfig
from training.export import data_and_terms, export, fingerprint
from training.train import CHECKPOINT, Trainer
from unet_seg_ros import __version__
from unet_seg_ros.model.bundle import BundleError, Manifest, load_bundle, read_tensors, save_bundle, write_tensors
from unet_seg_ros.model.unet import UNet

MakeRun = Callable[..., TrainConfig]


def trained(config: TrainConfig, folder: Path) -> Trainer:
    """One step of a run, saved."""
    trainer = Trainer(config, folder)
    images, labels = zip(*(trainer.samples[n] for n in range(2)), strict=True)
    trainer.train_step(torch.stack(images), torch.stack(labels))
    trainer.save()
    return trainer


def test_the_bundle_is_the_averaged_network(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    trainer = trained(tiny_run(), tmp_path / "run")
    output = tmp_path / "out" / "tiny.safetensors"
    export(tmp_path / "run", output, "unet_tiny", {"mIoU": 0.5})
    bundle = load_bundle(output)
    assert bundle.manifest == Manifest(
        "unet_tiny",
        trainer.model.config,
        trainer.config.max_pixels,
        data={"town": fingerprint(town, "train")},
        data_terms="free",
        metrics={"mIoU": 0.5},
        code_version=__version__,
    )
    assert bundle.tensors.keys() == trainer.ema.keys()
    assert all(torch.equal(bundle.tensors[name], trainer.ema[name]) for name in trainer.ema)
    weights = trainer.model.state_dict()
    assert any(not torch.equal(weights[name], trainer.ema[name]) for name in weights), "the test would prove nothing"
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_the_fingerprint_is_of_paths_and_sizes(town: Path) -> None:
    lines = sorted(f"{p.relative_to(town)} {len(p.read_bytes())}\n" for p in town.rglob("*.png"))
    before = fingerprint(town, "train")
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    next(town.rglob("*_leftImg8bit.png")).open("ab").write(b"x")
    assert fingerprint(town, "train") != before


def test_data_and_terms_of_the_bundle_it_started_from_are_kept(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    config = tiny_run(init=str(start))
    other = DataConfig("other", str(town), "train", "cityscapes19", "paid")
    model = UNet(Trainer(tiny_run(), tmp_path).model.config)
    manifest = Manifest("start", model.config, 1000, data={"town": "abc", "far": "def"}, data_terms="secret; free")
    save_bundle(start, model, manifest)
    data, terms = data_and_terms(dataclasses.replace(config, data=(*config.data, other)))
    own = fingerprint(town, "train")
    assert data == {"town": f"abc, {own}", "far": "def", "other": own}
    assert terms == "secret; free; paid"


def test_what_cannot_be_exported_leaves_the_output_alone(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "bundle.safetensors"
    output.write_text("old")
    trained(tiny_run(), run)
    tensors, metadata = read_tensors(run / CHECKPOINT)

    def refused(match: str, error: type[Exception] = BundleError) -> None:
        with pytest.raises(error, match=match) as caught:
            export(run, output, "x", {})
        assert "\n" not in str(caught.value)
        assert output.read_text() == "old"

    write_tensors(run / CHECKPOINT, {**tensors, "ema.head.bias": torch.full((19,), torch.nan)}, metadata)
    refused("does not compute")
    write_tensors(run / CHECKPOINT, {k: v for k, v in tensors.items() if k != "ema.head.bias"}, metadata)
    refused("averaged weights are not those of a tiny")
    write_tensors(run / CHECKPOINT, tensors, {"step": "1"})
    refused("not the checkpoint of a training run")
    write_tensors(run / CHECKPOINT, tensors, {"config": "{"})
    refused("not JSON")
    edited = {**json.loads(metadata["config"]), "model": "huge"}
    write_tensors(run / CHECKPOINT, tensors, {"config": json.dumps(edited)})
    refused("model must be one of", ValueError)
    (run / CHECKPOINT).write_bytes((run / CHECKPOINT).read_bytes()[:-10])
    refused("not a whole safetensors file")
    write_tensors(run / CHECKPOINT, tensors, metadata)
    for path in town.rglob("*_leftImg8bit.png"):
        path.unlink()
    refused("no images named", FileNotFoundError)

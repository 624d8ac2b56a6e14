"""Damaged checkpoints are refused, and the run continues from the checkpoint before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from test.training.run.test_trainer import CPU, batch, equal, state
from training.config import TrainConfig
from training.run.checkpoint import DIGEST, DamagedCheckpoint, _digest, path_of
from training.run.trainer import Trainer
from training.train import _resume
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.model.bundle import BundleError, read_tensors

MakeRun = Callable[..., TrainConfig]
Change = Callable[[dict[str, Tensor], dict[str, Any]], Any]


@pytest.fixture
def trainer(tiny_run: MakeRun, tmp_path: Path) -> Trainer:
    """A trainer that has written the checkpoints of steps 1 and 2."""
    found = Trainer(tiny_run(), tmp_path / "run", CPU)
    found.folder.mkdir()
    for step in range(2):
        found.train_step(batch(found, step))
        found.save()
    return found


def test_every_flipped_bit_is_found(trainer: Trainer, tiny_run: MakeRun) -> None:
    path = path_of(trainer.folder, 2)
    whole, draw = path.read_bytes(), random.Random(0)
    other = Trainer(tiny_run(), trainer.folder, CPU)
    for _ in range(25):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        with pytest.raises(BundleError):
            other.resume(path)
        assert other.step == 0


def test_after_a_damaged_checkpoint_the_one_before_is_used(
    trainer: Trainer, tiny_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(trainer.folder, 2)
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    other = Trainer(tiny_run(), trainer.folder, CPU)
    _resume(other)
    assert other.step == 1
    assert f"{path}: its contents do not match its SHA-256; trying the checkpoint before it" in capsys.readouterr().err
    other.train_step(batch(other, 1))
    assert equal(state(other), state(trainer))


def test_if_all_checkpoints_are_damaged_the_run_does_not_start(trainer: Trainer, tiny_run: MakeRun) -> None:
    for step in (1, 2):
        path_of(trainer.folder, step).write_bytes(b"")
    with pytest.raises(BundleError, match="all checkpoints are damaged"):
        _resume(Trainer(tiny_run(), trainer.folder, CPU))


def changed(name: str, change: Callable[[Tensor], Tensor]) -> Change:
    return lambda tensors, _: tensors.update({name: change(tensors[name])})


CHANGES: dict[str, tuple[Change, str]] = {
    "no EMA": (lambda t, v: [t.pop(n) for n in list(t) if n.startswith("ema.")], "tensors are missing, unexpected"),
    "one EMA tensor": (lambda t, v: t.pop("ema.head.weight"), "ema|tensors are missing, unexpected"),
    "another shape": (lambda t, v: t.update({"model.head.bias": torch.zeros(1)}), "tensors are missing, unexpected"),
    "another type": (changed("model.head.bias", Tensor.double), "model.head.bias is torch.float64, as no run writes"),
    "a type that NumPy lacks": (changed("ema.head.bias", Tensor.bfloat16), "ema.head.bias is torch.bfloat16"),
    "a whole number for a weight": (changed("ema.head.bias", Tensor.long), "the first is ema.head.bias$"),
    "no optimiser": (
        lambda t, v: [t.pop(n) for n in list(t) if n.startswith("optimizer.")],
        "missing, .* the first is optimizer.0.exp_avg$",
    ),
    "half an optimiser": (lambda t, v: t.pop("optimizer.0.exp_avg"), "the first is optimizer.0.exp_avg$"),
    "an optimiser of one more": (
        lambda t, v: t.update({"optimizer.99.step": torch.tensor(2.0)}),
        "the first is optimizer.99.step$",
    ),
    "a moment of another shape": (changed("optimizer.0.exp_avg", lambda x: x[:1]), "of another shape"),
    "a moment of another type": (changed("optimizer.0.exp_avg", Tensor.long), "of another shape or type"),
    "a step of another type": (changed("optimizer.0.step", Tensor.long), "the first is optimizer.0.step$"),
    "a step of another shape": (changed("optimizer.0.step", lambda x: x[None]), "the first is optimizer.0.step$"),
    "a moment that is none": (changed("optimizer.1.exp_avg", lambda x: x * float("inf")), "NaN or infinity"),
    "a step that is none": (changed("optimizer.1.step", lambda x: x * float("nan")), "NaN or infinity"),
    "a negative second moment": (
        changed("optimizer.1.exp_avg_sq", Tensor.neg),
        "optimizer.1.exp_avg_sq must not be negative",
    ),
    "one step too few": (changed("optimizer.1.step", lambda x: x - 1), "step is 1, but the run has done 2 steps"),
    "a fraction of a step": (changed("optimizer.1.step", lambda x: x + 0.5), "step is 2.5, but the run has done 2"),
    "a stranger": (lambda t, v: t.update({"more": torch.zeros(1)}), "more does not belong there"),
    "a weight that is none": (lambda t, v: t["model.head.weight"].fill_(float("nan")), "holds NaN or infinity"),
    "step -1": (lambda t, v: v.update(step=-1), "step must be"),
    "step true": (lambda t, v: v.update(step=True), "step must be"),
    "a late step": (lambda t, v: v.update(step=10**9), "step must be"),
    "a text for best": (lambda t, v: v.update(best="much"), "best must be"),
    "NaN for best": (lambda t, v: v.update(best=float("nan")), "best must be"),
    "no random states": (lambda t, v: v.pop("random"), "random must be"),
    "half of the random states": (lambda t, v: v["random"].pop("numpy"), "random states are not whole"),
    "a negative variance": (changed("ema.stem.1.running_var", Tensor.neg), "ema.stem.1.running_var must not be neg"),
    "a list for the data": (lambda t, v: v.update(data=["town"]), "data must be an object"),
    "a text for the validation": (lambda t, v: v["config"].update(validation="val"), "validation must be an object"),
    "a list for the configuration": (lambda t, v: v.update(config=[]), "config must be"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_that_does_not_fit_is_refused_despite_its_digest(
    name: str, trainer: Trainer, tiny_run: MakeRun
) -> None:
    change, says = CHANGES[name]
    path = path_of(trainer.folder, 2)
    tensors, metadata = read_tensors(path)
    values = {key: json.loads(text) for key, text in metadata.items()}
    change(tensors, values)
    written = {key: json.dumps(value, sort_keys=True) for key, value in values.items() if key != DIGEST}
    hashed = {name: tensor for name, tensor in tensors.items() if tensor.dtype != torch.bfloat16}
    path.write_bytes(save(tensors, {**written, DIGEST: json.dumps(_digest(hashed, written))}))
    other = Trainer(tiny_run(), trainer.folder, CPU)
    before = state(other)
    with pytest.raises(DamagedCheckpoint, match=says):
        other.resume(path)
    assert other.step == 0
    assert equal(state(other), before)


def test_a_checkpoint_of_the_first_format_is_resumed(trainer: Trainer, tiny_run: MakeRun) -> None:
    path = path_of(trainer.folder, 2)
    tensors, metadata = read_tensors(path)
    path.write_bytes(save(tensors, {n: v for n, v in metadata.items() if n not in (DIGEST, "format", "data")}))
    other = Trainer(tiny_run(), trainer.folder, CPU)
    other.resume(path)
    assert equal(state(other), state(trainer))


def test_changed_images_are_reported(trainer: Trainer, tiny_run: MakeRun) -> None:
    root = Path(trainer.config.data[0].root)
    first, second, *_ = (pair.image for pair in find_pairs(root, "train"))
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    with pytest.raises(BundleError, match="the images or labels of town were changed since"):
        Trainer(tiny_run(), trainer.folder, CPU).resume(path_of(trainer.folder, 2))
    first.write_bytes(contents[0])
    second.write_bytes(contents[1])
    Trainer(tiny_run(), trainer.folder, CPU).resume(path_of(trainer.folder, 2))
    assert cv2.imwrite(str(first), np.zeros((64, 80, 3), np.uint8))
    with pytest.raises(BundleError, match="were changed since"):
        Trainer(tiny_run(), trainer.folder, CPU).resume(path_of(trainer.folder, 2))

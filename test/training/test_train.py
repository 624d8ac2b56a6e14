"""A tiny run: it learns, it resumes bit by bit, and refuses checkpoints that are not its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training import train as module
from training.config import TrainConfig
from training.export import read_run
from training.train import CHECKPOINT, Trainer, at_phase, learning_rate, normalise, run
from unet_seg_ros.model.bundle import MEAN, STD, BundleError, Manifest, read_tensors, save_bundle, write_tensors
from unet_seg_ros.model.unet import UNet, UNetConfig

MakeRun = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def trained(config: TrainConfig, folder: Path) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(config, folder)
    if (folder / CHECKPOINT).exists():
        trainer.resume()
    run(trainer, workers=0)
    return trainer


def state(trainer: Trainer) -> dict[str, Tensor]:
    return {**trainer.model.state_dict(), **{f"ema {name}": value for name, value in trainer.ema.items()}}


def test_the_loss_falls(tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    step = Trainer.train_step

    def recorded(self: Trainer, images: Tensor, labels: Tensor) -> float:
        losses.append(step(self, images, labels))
        return losses[-1]

    monkeypatch.setattr(Trainer, "train_step", recorded)
    config = tiny_run(steps=40, batch=4, learning_rate=0.01, ema_decay=0.9, save_every=10)
    trained(config, tmp_path)
    rows = [[float(value) for value in line.split(",")] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == [10, 20, 30, 40]
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    assert rows[-1][1] < rows[0][1]


def test_resumed_it_ends_bit_by_bit_the_same(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_run(steps=7, save_every=3)
    expected = state(trained(config, tmp_path / "whole"))

    class Stopped(Exception):
        pass

    step = Trainer.train_step

    def stopping(self: Trainer, images: Tensor, labels: Tensor) -> float:
        if self.step == 5:  # the last checkpoint is of step 3
            raise Stopped
        return step(self, images, labels)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", stopping)
        with pytest.raises(Stopped):
            trained(config, tmp_path / "stopped")
    torch.manual_seed(99)  # a new process has another random state
    resumed = trained(config, tmp_path / "stopped")
    assert resumed.step == 7
    found = state(resumed)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    again = trained(config, tmp_path / "stopped")  # a finished run has nothing to do
    assert all(torch.equal(state(again)[name], expected[name]) for name in expected)


def test_checkpoints_that_are_not_its_own_are_refused(tiny_run: MakeRun, tmp_path: Path) -> None:
    trained(tiny_run(steps=2), tmp_path)
    path = tmp_path / CHECKPOINT
    for fields in ({"steps": 3}, {"seed": 1}, {"crop": (32, 32)}):
        with pytest.raises(BundleError, match=f"^{path}: written by another configuration"):
            Trainer(tiny_run(**{"steps": 2, **fields}), tmp_path).resume()
    tensors, _ = read_tensors(path)
    data = path.read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(BundleError, match=f"^{path}: not a whole safetensors file"):
            Trainer(tiny_run(steps=2), tmp_path).resume()
    write_tensors(path, tensors, {})
    with pytest.raises(BundleError, match="written by another configuration"):
        Trainer(tiny_run(steps=2), tmp_path).resume()


def test_it_starts_from_a_bundle_of_its_own_kind(tiny_run: MakeRun, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    config = tiny_run(init=str(path))
    with pytest.raises(BundleError, match="no such file"):
        Trainer(config, tmp_path)
    start = UNet(UNetConfig(widths=(8, 8), depths=(1, 1)))
    save_bundle(path, start, Manifest("start", start.config, 1000))
    trainer = Trainer(config, tmp_path)
    assert all(torch.equal(trainer.ema[name], value) for name, value in start.state_dict().items())
    other = UNet(UNetConfig(widths=(8, 16), depths=(1, 1)))
    save_bundle(path, other, Manifest("other", other.config, 1000))
    with pytest.raises(BundleError, match="not a tiny, which the run is to train"):
        Trainer(config, tmp_path)


def test_the_average_is_as_documented(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(ema_decay=0.15), tmp_path)
    expected = trainer.model.head.bias.detach().clone()
    for n in range(3):
        image, label = trainer.samples[n]
        trainer.train_step(image[None].repeat(2, 1, 1, 1), label[None].repeat(2, 1, 1))
        decay = min(0.15, (n + 1) / (n + 11))
        expected = decay * expected + (1 - decay) * trainer.model.head.bias.detach()
    torch.testing.assert_close(trainer.ema["head.bias"], expected)
    trainer.save()
    _, model = read_run(tmp_path)
    assert not model.training
    torch.testing.assert_close(model.head.bias.detach(), expected)


def test_learning_rates(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=100, warmup=10, learning_rate=0.5)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[:11] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.5])
    assert rates[55] == pytest.approx(0.5 * math.pow(0.5, 0.9))
    assert 0 < rates[99] < 0.01


def test_normalised_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    expected = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(normalise(torch.from_numpy(images)).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_phases_are_every_second_pixel_of_the_upsampled_logits(phase: tuple[int, int]) -> None:
    logits = torch.randn(2, 3, 5, 7)
    labels = torch.arange(2 * 10 * 14).reshape(2, 10, 14)
    full = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    found, found_labels = at_phase(logits, labels, phase)
    torch.testing.assert_close(found, full[:, :, phase[0] :: 2, phase[1] :: 2])
    assert torch.equal(found_labels, labels[:, phase[0] :: 2, phase[1] :: 2])


def test_the_command_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.yaml").write_text("model: nano\ndata: []\n")
    for name, message in (("run.yaml", "crop, max_pixels, steps missing"), ("none.yaml", "No such file")):
        monkeypatch.setattr("sys.argv", ["train", str(tmp_path / name), str(tmp_path / "run")])
        with pytest.raises(SystemExit, match=message):
            module.main()

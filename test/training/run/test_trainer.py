"""One training step and the trainer's state: averages, checkpoints, refused files, full disks."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.config import AugmentConfig, TrainConfig, ValidationConfig
from training.run import trainer as module
from training.run.checkpoint import BEST, DamagedCheckpoint, checkpoints, part, path_of, read_checkpoint
from training.run.trainer import NotFinite, Trainer, normalise
from unet_seg_ros.model.bundle import (
    MEAN,
    STD,
    BundleError,
    Manifest,
    load_bundle,
    read_tensors,
    save_bundle,
    write_tensors,
)
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig

MakeRun = Callable[..., TrainConfig]
CPU = torch.device("cpu")


def batch(trainer: Trainer, step: int, parts: int = 1) -> list[tuple[Tensor, Tensor]]:
    size = trainer.config.batch // parts
    groups = [
        range(step * trainer.config.batch + i * size, step * trainer.config.batch + (i + 1) * size)
        for i in range(parts)
    ]
    samples = [[trainer.samples[n] for n in numbers] for numbers in groups]
    return [(torch.stack([s[0] for s in group]), torch.stack([s[1] for s in group])) for group in samples]


def train(trainer: Trainer, last: int, parts: int = 1) -> None:
    """Do the steps from the trainer's step up to ``last``."""
    for step in range(trainer.step, last):
        trainer.train_step(batch(trainer, step, parts))


def state(trainer: Trainer) -> dict[str, Tensor]:
    tensors = {**trainer.network.state_dict(), **{f"ema {name}": value for name, value in trainer.ema.items()}}
    return {name: value.clone() for name, value in tensors.items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_trainer_gives_the_same_bits(tiny_run: MakeRun, tmp_path: Path) -> None:
    config = tiny_run(steps=6)
    first = Trainer(config, tmp_path, CPU)
    train(first, 3)
    first.save()
    train(first, 6)
    torch.manual_seed(99)  # a new process has another random state
    second = Trainer(config, tmp_path, CPU)
    second.resume(path_of(tmp_path, 3))
    train(second, 6)
    assert equal(state(first), state(second))
    second.save()
    first._write(tmp_path / "first.safetensors")
    of_first, of_second = (read_tensors(p)[0] for p in (tmp_path / "first.safetensors", path_of(tmp_path, 6)))
    assert equal(of_first, of_second)  # the optimiser's state too


def test_a_compiled_network_with_accumulation_gives_the_same_bits(tiny_run: MakeRun, tmp_path: Path) -> None:
    config = tiny_run(steps=4, compile=True, accumulate=2)
    first = Trainer(config, tmp_path, CPU)
    train(first, 2, parts=2)
    first.save()
    train(first, 4, parts=2)
    second = Trainer(config, tmp_path, CPU)
    second.resume(path_of(tmp_path, 2))
    train(second, 4, parts=2)
    assert equal(state(first), state(second))


def test_validation_and_saving_may_change_when_resuming(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(), tmp_path, CPU)
    trainer.train_step(batch(trainer, 0))
    trainer.best = 0.5
    trainer.save()
    watched = ValidationConfig("elsewhere")
    for fields, best in (({"save_every": 7, "keep": 3}, 0.5), ({"validation": watched}, float("-inf"))):
        other = Trainer(tiny_run(**fields), tmp_path, CPU)
        other.resume(path_of(tmp_path, 1))
        assert (other.step, other.best) == (1, best)


def test_a_run_continues_with_moved_data_and_other_changes_are_named(
    tiny_run: MakeRun, town: Path, tmp_path: Path
) -> None:
    trainer = Trainer(tiny_run(), tmp_path, CPU)
    trainer.save()
    (source,) = tiny_run().data
    moved = dataclasses.replace(source, root=str(shutil.copytree(town, tmp_path / "moved")))
    Trainer(tiny_run(data=(moved,)), tmp_path, CPU).resume(path_of(tmp_path, 0))
    image = next((tmp_path / "moved" / "leftImg8bit").rglob("*.png"))
    shutil.copy(next(path for path in image.parent.iterdir() if path != image), image)
    with pytest.raises(BundleError, match="the images or labels of town were changed since"):
        Trainer(tiny_run(data=(moved,)), tmp_path, CPU).resume(path_of(tmp_path, 0))
    weighed = dataclasses.replace(source, weight=2.0, augment=AugmentConfig(scale=(0.8, 1.5), blur=0.5))
    with pytest.raises(BundleError, match=r"another configuration \(clip, data\.0\.augment\.blur, data\.0\.weight\)"):
        Trainer(tiny_run(data=(weighed,), clip=1.0), tmp_path, CPU).resume(path_of(tmp_path, 0))


def test_a_trapezoid_may_change_its_length_before_its_cooldown(tiny_run: MakeRun, tmp_path: Path) -> None:
    """The result is that of a run that was planned so from the beginning."""
    short = tiny_run(steps=6, schedule="trapezoid", cooldown=2)
    long = tiny_run(steps=9, schedule="trapezoid", cooldown=4)
    planned, begun, ended = (Trainer(config, tmp_path, CPU) for config in (short, long, short))
    train(planned, 6)
    train(begun, 4)
    begun.save()
    ended.resume(path_of(tmp_path, 4))
    train(ended, 6)
    assert equal(state(ended), state(planned))
    ended.save()
    with pytest.raises(BundleError, match=r"written with another configuration \(cooldown, steps\)"):
        Trainer(long, tmp_path, CPU).resume(path_of(tmp_path, 6))


def test_a_run_that_has_ended_continues_after_a_restart(tiny_run: MakeRun, tmp_path: Path) -> None:
    """The result is that of a run that was planned so from the beginning."""
    ended, planned, longer = (
        tiny_run(steps=steps, schedule="trapezoid", cooldown=2, restarts=restarts)
        for steps, restarts in ((4, ()), (7, (4,)), (7, ()))
    )
    first, whole, second = (Trainer(config, tmp_path, CPU) for config in (ended, planned, planned))
    train(whole, 7)
    train(first, 4)
    first.save()
    second.resume(path_of(tmp_path, 4))
    train(second, 7)
    assert equal(state(second), state(whole))
    with pytest.raises(BundleError, match=r"written with another configuration \(steps\)"):
        Trainer(longer, tmp_path, CPU).resume(path_of(tmp_path, 4))


def test_checkpoints_of_other_runs_are_refused(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tiny_run(), tmp_path, CPU)
    train(trainer, 3)
    trainer.save()
    path = path_of(tmp_path, 3)
    for fields in ({"steps": 7}, {"seed": 1}, {"crop": (32, 32)}):
        other = rf"^{path}: written with another configuration \({next(iter(fields))}\); use another run folder"
        with pytest.raises(BundleError, match=other):
            Trainer(tiny_run(**fields), tmp_path, CPU).resume(path)
    data = path.read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(BundleError, match=f"^{path}: not a complete safetensors file"):
            Trainer(tiny_run(), tmp_path, CPU).resume(path)
    path.write_bytes(data)
    monkeypatch.setitem(CONFIGS, "tiny", UNetConfig(widths=(8, 16), depths=(1, 1)))
    with pytest.raises(BundleError, match=f"^{path}: 36 tensors are missing, unexpected or of another shape"):
        Trainer(tiny_run(), tmp_path, CPU).resume(path)
    write_tensors(path, {"a": torch.zeros(1)}, {})
    with pytest.raises(BundleError, match=f"^{path}: not the checkpoint of a training run"):
        Trainer(tiny_run(), tmp_path, CPU).resume(path)


def test_files_of_later_steps_do_not_displace_checkpoints(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(keep=1), tmp_path, CPU)
    train(trainer, 1)
    trainer.save()
    shutil.copy(path_of(tmp_path, 1), path_of(tmp_path, 5))
    train(trainer, 2)
    trainer.save()
    assert checkpoints(tmp_path) == [path_of(tmp_path, 2), path_of(tmp_path, 5)]
    with pytest.raises(
        DamagedCheckpoint, match=f"^{path_of(tmp_path, 5)}: it holds step 1, so it was renamed or copied"
    ):
        trainer.resume(path_of(tmp_path, 5))


def test_a_run_starts_from_a_bundle_of_the_same_network(tiny_run: MakeRun, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    config = tiny_run(init=str(path))
    with pytest.raises(BundleError, match="no such file"):
        Trainer(config, tmp_path, CPU)
    start = UNet(UNetConfig(widths=(8, 8), depths=(1, 1)))
    save_bundle(path, start, Manifest("start", start.config, 1000))
    trainer = Trainer(config, tmp_path, CPU)
    assert equal(trainer.ema, dict(load_bundle(path).build().state_dict()))  # weights are stored in 16 bits
    for name, value in start.state_dict().items():
        torch.testing.assert_close(trainer.ema[name], value, rtol=1e-3, atol=1e-6)
    other = UNet(UNetConfig(widths=(8, 16), depths=(1, 1)))
    save_bundle(path, other, Manifest("other", other.config, 1000))
    with pytest.raises(BundleError, match="its network is not a tiny, which this run trains"):
        Trainer(config, tmp_path, CPU)


def test_the_averaged_weights_follow_the_documentation(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(ema_decay=0.15), tmp_path, CPU)
    bias = trainer.network.head.bias
    assert bias is not None
    expected = bias.detach().clone()
    for n in range(3):
        trainer.train_step(batch(trainer, n))
        decay = min(0.15, (n + 1) / (n + 11))
        expected = decay * expected + (1 - decay) * bias.detach()
    torch.testing.assert_close(trainer.ema["head.bias"], expected)
    torch.testing.assert_close(trainer.averaged().build().head.bias.detach(), expected)


def test_parts_of_a_batch_add_up_to_one_step(tiny_run: MakeRun, tmp_path: Path) -> None:
    """With equal samples in each part and fixed normalisations, the gradient of one part is that of all."""
    config = tiny_run(batch=4, accumulate=2)
    trainer = Trainer(config, tmp_path, CPU)
    assert trainer.numbers()[:3] == [[0, 1], [2, 3], [4, 5]]
    (images, labels), _ = batch(trainer, 0, parts=2)
    gradients = []
    for parts in ([(images, labels)], [(images, labels), (images, labels)]):
        other = Trainer(tiny_run(batch=4, accumulate=len(parts)), tmp_path, CPU)
        other.train_step(parts)
        gradients.append([p.grad for p in other.network.parameters()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)
    with pytest.raises(ValueError, match=r"batch \(4\) must be a multiple of accumulate"):
        tiny_run(batch=4, accumulate=3)


def test_processes_share_the_samples_of_a_step(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tiny_run(batch=12, accumulate=2, steps=3), tmp_path, CPU)
    alone = trainer.numbers()
    monkeypatch.setattr(module, "world", lambda: 3)
    shares = []
    for number in range(3):
        monkeypatch.setattr(module, "rank", lambda number=number: number)
        shares.append(trainer.numbers())
    for step in range(3):
        mine = slice(2 * step, 2 * step + 2)
        assert sorted(n for share in shares for part in share[mine] for n in part) == [
            n for part in alone[mine] for n in part
        ]
    assert all(len(share) == 6 and all(len(part) == 2 for part in share) for share in shares)
    with pytest.raises(ValueError, match=r"^batch \(4\) must be a multiple of accumulate × processes \(3\)$"):
        Trainer(tiny_run(batch=4), tmp_path, CPU)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_saves_its_state(
    value: float, tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tiny_run(), tmp_path, CPU)
    trainer.train_step(batch(trainer, 0))
    before = state(trainer)
    images, labels = batch(trainer, 1)[0]
    monkeypatch.setattr(module, "normalise", lambda images: normalise(images) * value)
    where = tmp_path / "not-finite-00000001-rank0.safetensors"
    with pytest.raises(NotFinite, match=rf"^step 1: loss (nan|inf), gradient norm .*; the batch is in {where}$"):
        trainer.train_step([(images, labels)])
    assert equal(state(trainer), before)  # also the running statistics of the normalisations
    kept, _ = read_tensors(where)
    assert torch.equal(kept["images"], images)
    assert torch.equal(kept["labels"], labels)
    saved, values = read_checkpoint(path_of(tmp_path, 1))
    assert values["step"] == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in part(saved, "model.").items())
    assert all(torch.equal(before[f"ema {name}"], tensor) for name, tensor in part(saved, "ema.").items())


def test_a_full_disk_damages_no_checkpoint(tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(tiny_run(keep=1), tmp_path, CPU)
    trainer.save()
    trainer.train_step(batch(trainer, 0))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        trainer.save()
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [path_of(tmp_path, 0)]
    read_checkpoint(path_of(tmp_path, 0))


def test_the_best_and_the_last_few_are_kept(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(keep=2), tmp_path, CPU)
    for step, score in enumerate((0.3, 0.5, 0.4, float("nan"))):
        trainer.train_step(batch(trainer, step))
        trainer.keep_best(score)
        trainer.save()
    assert checkpoints(tmp_path) == [path_of(tmp_path, step) for step in (3, 4)]
    assert read_checkpoint(tmp_path / BEST)[1]["step"] == 2
    assert read_checkpoint(path_of(tmp_path, 4))[1]["best"] == 0.5


def test_images_are_normalised() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    expected = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(normalise(torch.from_numpy(images)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_files_that_cannot_be_deleted_do_not_end_a_run(tiny_run: MakeRun, tmp_path: Path) -> None:
    trainer = Trainer(tiny_run(keep=1), tmp_path, CPU)
    path_of(tmp_path, 0).mkdir()
    trainer.step = 3
    trainer.save()
    assert checkpoints(tmp_path) == [path_of(tmp_path, 0), path_of(tmp_path, 3)]

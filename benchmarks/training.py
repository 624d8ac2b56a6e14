"""Measures a training step: ``python -m benchmarks.training [--model nano] [--crop 352 480] [--batch 8]``.

The same run measures a simple training step: contiguous memory format, fp32, logits upsampled to the labels' size,
cross-entropy and dice over all pixels with one-hot labels. The benchmark prints images per second and the ratio of the
medians, and on a GPU also the share of the time in which the GPU was busy.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from training.config import DataConfig, TrainConfig
from training.run.trainer import Trainer, normalise
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.model.unet import CONFIGS, build

ROUNDS = 8
Step = Callable[[], object]


def ours(config: TrainConfig, folder: Path, device: torch.device, images: Tensor, labels: Tensor) -> Step:
    trainer = Trainer(config, folder, device)
    return lambda: trainer.train_step([(images, labels)])


def plain(config: TrainConfig, device: torch.device, images: Tensor, labels: Tensor) -> Step:
    network = build(config.model).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)
    classes = network.config.num_classes

    def step() -> None:
        target = labels.to(device).long()
        logits = network(normalise(images.to(device)).contiguous())
        logits = F.interpolate(logits, target.shape[-2:], mode="bilinear", align_corners=False)
        valid = target != 255
        truth = F.one_hot(target.where(valid, 0), classes).movedim(-1, 1) * valid[:, None]
        probability = logits.softmax(dim=1) * valid[:, None]
        both, total = ((a).sum(dim=(0, 2, 3)) for a in (probability * truth, probability + truth))
        loss = F.cross_entropy(logits, target, ignore_index=255) + 1 - (2 * both / total.clamp(min=1)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        loss.item()

    return step


def busy(step: Step) -> float:
    """The share of a step's time in which the GPU is busy."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        start = perf_counter()
        step()
        torch.cuda.synchronize()
        wall = perf_counter() - start
    on_gpu = sum(event.self_device_time_total for event in profiled.key_averages())
    return float(on_gpu / 1e6 / wall)


def measured(ways: dict[str, Step]) -> dict[str, list[float]]:
    """Seconds of each step. The ways take turns, and the first two steps of each are left out."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, step in ways.items():
            start = perf_counter()
            step()
            times[name].append(perf_counter() - start)
    return {name: values[2:] for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="nano")
    parser.add_argument("--crop", type=int, nargs=2, default=(352, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=8)
    model, (height, width), batch = vars(parser.parse_args()).values()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (batch, height, width, 3), np.uint8))
    labels = torch.from_numpy(rng.integers(0, 19, (batch, height, width), np.uint8))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        list(write_drive(DriveConfig(seed=1, width=480, height=360, fps=1, seconds=2), folder))
        data = DataConfig("town", str(folder), "train", "cityscapes", "rendered by this project, Apache-2.0")
        config = TrainConfig(model, (data,), 1000, max_pixels=172800, crop=(height, width), batch=batch)
        ways = {
            "Trainer": ours(config, folder, device, images, labels),
            "plain": plain(config, device, images, labels),
        }
        print(f"{model}, batch {batch} of {width}×{height}, {device}, PyTorch {torch.__version__}")
        print(f"{'way':<9}  {'images/s':>8}  {'p50 ms':>7}  {'p95 ms':>7}  ratio")
        times = measured(ways)
        for name, values in times.items():
            p50, p95 = (1000 * float(np.percentile(values, q)) for q in (50, 95))
            ratio = float(np.median(values) / np.median(times["Trainer"]))
            share = f"  GPU busy {100 * busy(ways[name]):.0f} %" if device.type == "cuda" else ""
            print(f"{name:<9}  {1000 * batch / p50:8.1f}  {p50:7.1f}  {p95:7.1f}  {ratio:5.2f}{share}")


if __name__ == "__main__":
    main()

"""Train a UNet: ``python -m training.train CONFIG.yaml RUN_FOLDER``; the same command resumes a run that stopped."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from training import config as configuration
from training.config import TrainConfig
from training.data import Samples
from training.losses import CrossEntropyDice
from unet_seg_ros.model.bundle import MEAN, STD, BundleError, load_bundle, read_tensors, write_tensors
from unet_seg_ros.model.unet import UNet, build

CHECKPOINT = "checkpoint.safetensors"


def normalise(images: Tensor) -> Tensor:
    """uint8[N, H, W, 3] RGB → float[N, 3, H, W], channels last in memory."""
    mean, std = (torch.tensor(v, device=images.device) for v in (MEAN, STD))
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then poly decay with power 0.9 (Chen et al. 2017)."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    remaining = 1 - (step - config.warmup) / (config.steps - config.warmup)
    return config.learning_rate * math.pow(remaining, 0.9)


def at_phase(logits: Tensor, labels: Tensor, phase: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bilinearly upsampled logits and labels at every second row and column, starting at ``phase``.

    The four phases taken in turn add up to the loss on all pixels, each at a quarter of its cost.
    """
    for dim, odd in zip((2, 3), phase, strict=True):
        size = logits.shape[dim]
        neighbour = torch.arange(size, device=logits.device).add(1 if odd else -1).clamp(0, size - 1)
        logits = 0.75 * logits + 0.25 * logits.index_select(dim, neighbour)
    return logits, labels[:, phase[0] :: 2, phase[1] :: 2]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A checkpoint's tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Trainer:
    """Holds everything that a checkpoint holds: network, EMA weights, optimiser, step."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        self.model = self._initial_model().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.samples = Samples(config.data, config.crop, config.seed, config.steps * config.batch)
        share = torch.from_numpy(self.samples.pixel_share()).float()
        # ENet's weighting (Paszke et al. 2016): rare classes count up to 15 times as much as the road.
        self.loss = CrossEntropyDice(self.samples.sets.membership(), 1 / torch.log(1.02 + share)).to(self.device)
        decay = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.step = 0

    def _initial_model(self) -> UNet:
        if not self.config.init:
            return build(self.config.model)
        bundle = load_bundle(Path(self.config.init))
        if bundle.manifest.config != build(self.config.model).config:
            raise BundleError(f"{self.config.init}: not a {self.config.model}, which the run is to train")
        return bundle.build()

    def train_step(self, images: Tensor, labels: Tensor) -> float:
        """One step of the optimiser and of the EMA on images uint8[N, H, W, 3] and set indices uint8[N, H, W]."""
        self.model.train()
        images, labels = images.to(self.device), labels.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        bf16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = self.model(normalise(images))
        if self.model.config.stem_stride == 2:
            logits, labels = at_phase(logits.float(), labels, (self.step % 2, self.step // 2 % 2))
        loss: Tensor = self.loss(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        self._update_ema()
        return loss.item()

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self.config.ema_decay, self.step / (self.step + 10))  # a young average forgets its random start
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    def save(self) -> None:
        """Write the checkpoint, atomically."""
        state = self.optimizer.state_dict()["state"]
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        tensors |= {f"optimizer.{i}.{k}": v for i, entry in state.items() for k, v in entry.items()}
        write_tensors(self.folder / CHECKPOINT, tensors, {"step": str(self.step), "config": self._config_text()})

    def _config_text(self) -> str:
        return json.dumps(dataclasses.asdict(self.config), sort_keys=True)

    def resume(self) -> None:
        """Go on from the folder's checkpoint. Raises BundleError if it is broken or of another configuration."""
        path = self.folder / CHECKPOINT
        tensors, metadata = read_tensors(path)
        if metadata.get("config") != self._config_text():
            raise BundleError(f"{path}: written by another configuration; use another run folder or the old one")
        self.model.load_state_dict(part(tensors, "model."))
        self.ema = {name: value.to(self.device) for name, value in part(tensors, "ema.").items()}
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in part(tensors, "optimizer.").items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step = int(metadata["step"])


def run(trainer: Trainer, workers: int) -> None:
    """Train from where the trainer stands to the last step, with a checkpoint every ``save_every`` steps."""
    config = trainer.config
    todo = range(trainer.step * config.batch, config.steps * config.batch)
    loader = DataLoader(trainer.samples, config.batch, sampler=todo, num_workers=workers)
    log = (trainer.folder / "log.csv").open("a", buffering=1)
    smooth, start = float("nan"), time.monotonic()
    with log, tqdm(total=config.steps, initial=trainer.step, unit="step", dynamic_ncols=True, mininterval=5) as bar:
        for images, labels in loader:
            loss = trainer.train_step(images, labels)
            smooth = loss if smooth != smooth else 0.98 * smooth + 0.02 * loss
            bar.update()
            bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
            if trainer.step % config.save_every == 0 or trainer.step == config.steps:
                trainer.save()
                log.write(f"{trainer.step},{smooth:.5f},{time.monotonic() - start:.1f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file, see training/configs")
    parser.add_argument("folder", type=Path, help="run folder: checkpoint and log")
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        trainer = Trainer(configuration.load(arguments.config), arguments.folder)
        if (arguments.folder / CHECKPOINT).exists():
            trainer.resume()
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    run(trainer, arguments.workers)


if __name__ == "__main__":
    main()

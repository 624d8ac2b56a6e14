"""The state of a run, and one training step; the loop over the steps is in ``training.train``."""

from __future__ import annotations

import dataclasses
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.config import TrainConfig
from training.data.dataset import Samples, data_sketch
from training.optimise.distributed import rank, world
from training.optimise.losses import CrossEntropyDice
from training.optimise.optimizer import learning_rate, optimizer
from training.optimise.quarter_grid import quarter
from training.run.checkpoint import (
    BEST,
    DamagedCheckpoint,
    check_optimizer,
    check_tensors,
    check_values,
    checkpoints,
    load_optimizer,
    part,
    path_of,
    read_checkpoint,
    write_checkpoint,
)
from training.run.config_copy import differences, plain
from training.run.random_states import random_states, seed_all, set_random_states
from unet_seg_ros.engine.pytorch import pick_precision
from unet_seg_ros.model.bundle import MEAN, STD, Bundle, BundleError, Manifest, load_bundle, write_tensors
from unet_seg_ros.model.fold import unfold
from unet_seg_ros.model.unet import CONFIGS, UNet
from unet_seg_ros.text import last_words, listed

MAY_CHANGE = re.compile(r"(validation|save_every|keep)\b.*|data\.\d+\.(root|cache)")
"""Fields of the configuration that may change when a run is resumed: its weights do not depend on them. The data may be
moved, because the checkpoint knows its contents."""
LENGTH = {"steps": 0, "cooldown": 0, "restarts": ()}
"""Fields that may change if the learning rates of the finished steps stay the same; with the values of old runs."""


class NotFinite(ArithmeticError):
    """The loss or its gradient is NaN or infinite. The message names the file with the batch."""


def normalise(images: Tensor) -> Tensor:
    """uint8[N, H, W, 3] RGB → float[N, 3, H, W], channels last in memory."""
    mean, std = (torch.tensor(v, device=images.device) for v in (MEAN, STD))
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def initial_unet(config: TrainConfig) -> UNet:
    """A network with random weights, or the one of the bundle ``init``. Raises BundleError if its shape differs."""
    if not config.init:
        return UNet(CONFIGS[config.model])
    unet = unfold(load_bundle(Path(config.init)).build())
    if unet.config != CONFIGS[config.model]:
        raise BundleError(f"{config.init}: its network is not a {config.model}, which this run trains")
    return unet


def _measure(validation: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of a validation that must be the same for two mIoUs to be comparable."""
    return {name: value for name, value in (validation or {}).items() if name not in ("root", "every")}


class Trainer:
    """The state of a run, as a checkpoint holds it: network, EMA weights, optimiser, step, best mIoU."""

    def __init__(self, config: TrainConfig, folder: Path, device: torch.device) -> None:
        if config.batch % (config.accumulate * world()):
            raise ValueError(f"batch ({config.batch}) must be a multiple of accumulate × processes ({world()})")
        self.config = config
        self.folder = folder
        self.device = device
        seed_all(config.seed)
        self.network = initial_unet(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = Samples(config)
        share = torch.from_numpy(self.samples.pixel_share()).float()
        # The square root of ENet's weights (Paszke et al. 2016): rare classes count up to 4 times as much as the road.
        weights = (1 / torch.log(1.02 + share)).sqrt()
        self.loss = CrossEntropyDice(self.samples.sets.membership(), weights).to(device)
        self.optimizer = optimizer(config, self.network)
        self.ema = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.step = 0
        self.best = float("-inf")
        self.data = {source.name: data_sketch(source) for source in config.data}
        """Identifies the images and labels in a checkpoint."""
        self._forward = self._wrapped()

    def _wrapped(self) -> nn.Module:
        """The network as it is trained. With several processes, normalisations and gradients are synchronised."""
        network: nn.Module = self.network
        if world() > 1:
            if self.device.type == "cuda":
                self.network = network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)  # type: ignore[no-untyped-call]
            ids = [self.device.index] if self.device.type == "cuda" else None
            network = DistributedDataParallel(network, device_ids=ids)
        if self.config.compile:
            network.compile()  # type: ignore[no-untyped-call]
        return network

    def numbers(self) -> list[list[int]]:
        """The sample numbers of this process's forward passes from now on, ``accumulate`` passes for each step."""
        total, parts = self.config.batch, self.config.accumulate * world()
        share = total // parts
        starts = range(self.step * total, self.config.steps * total, total)
        mine = range(rank() * share, total, world() * share)
        return [list(range(start + offset, start + offset + share)) for start in starts for offset in mine]

    def train_step(self, parts: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
        """Do one step of optimiser and EMA on the parts of a batch. Returns the loss and the gradient's norm before
        clipping.

        Each part is images uint8[N, H, W, 3] and set indices uint8[N, H, W]. Raises NotFinite; the batch and the
        state before it are then saved.
        """
        self._forward.train()
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        losses = [self._backward(images.to(self.device), labels.to(self.device)) for images, labels in parts]
        loss = float(torch.stack(losses).mean())
        gradient = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip))
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)
            raise NotFinite(self._keep_batch(parts, loss, gradient))
        self.optimizer.step()
        self.step += 1
        self._update_ema()
        return loss, gradient

    def _backward(self, images: Tensor, labels: Tensor) -> Tensor:
        bf16 = pick_precision(self.device) == "bf16"  # fp16 would need a scaled loss
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = self._forward(normalise(images))
        loss: Tensor = self.loss(*quarter(logits.float(), labels, self.step))
        (loss / self.config.accumulate).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _keep_batch(self, parts: list[tuple[Tensor, Tensor]], loss: float, gradient: float) -> str:
        path = self.folder / f"not-finite-{self.step:08}-rank{rank()}.safetensors"
        images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        write_tensors(path, {"images": images, "labels": labels}, {"step": str(self.step)})
        self.save()
        return f"step {self.step}: loss {loss}, gradient norm {gradient}; the batch is in {path}"

    @torch.no_grad()
    def _update_ema(self) -> None:
        # At the start the average forgets the random weights faster.
        decay = min(self.config.ema_decay, self.step / (self.step + 10))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    def averaged(self) -> Bundle:
        """The EMA weights as a bundle in memory."""
        manifest = Manifest(self.folder.name, CONFIGS[self.config.model], self.config.max_pixels)
        return Bundle(manifest, {name: value.cpu().numpy() for name, value in self.ema.items()}, f"{self.step:012}")

    def save(self) -> None:
        """Write the checkpoint completely or not at all, then delete all but the last ``keep`` up to this one.

        Files of later steps are damaged or copied; they must not replace good ones.
        """
        mine = path_of(self.folder, self.step)
        self._write(mine)
        if rank() == 0:
            for old in [path for path in checkpoints(self.folder) if path <= mine][: -self.config.keep]:
                with suppress(OSError):  # what cannot be deleted, or was already, must not end the run
                    old.unlink()

    def keep_best(self, score: float) -> None:
        """Write the checkpoint of the best weights if ``score`` is the highest so far."""
        if score > self.best:
            self.best = score
            self._write(self.folder / BEST)

    def _write(self, path: Path) -> None:
        if rank() > 0:
            return
        weights = {"model": self.network.state_dict(), "ema": self.ema}
        values = {
            "step": self.step,
            "best": self.best,
            "config": dataclasses.asdict(self.config),
            "random": random_states(),
            "data": self.data,
        }
        write_checkpoint(path, weights, self.optimizer, values)

    def _same_rates(self, before: dict[str, Any], step: int) -> bool:
        """Whether a run with the length of ``before`` had the same learning rate in each step up to ``step``."""
        length = {name: before.get(name, default) for name, default in LENGTH.items()}
        try:
            other = dataclasses.replace(self.config, **{**length, "restarts": tuple(length["restarts"])})
        except (TypeError, ValueError):
            return False
        return all(learning_rate(self.config, i) == learning_rate(other, i) for i in range(step))

    def resume(self, path: Path) -> None:
        """Resume from a checkpoint after checking all of it.

        Raises DamagedCheckpoint if it is damaged, BundleError if it is of another configuration or of other data.
        """
        tensors, values = read_checkpoint(path)
        check_values(path, values)
        mine, before = plain(self.config), values["config"]
        differs = [name for name in differences(mine, before) if not MAY_CHANGE.fullmatch(name)]
        if LENGTH.keys() & set(differs) and self._same_rates(before, values["step"]):
            differs = [name for name in differs if name not in LENGTH]
        if differs:
            raise BundleError(
                f"{path}: written with another configuration ({listed(differs)}); use another run folder or that one"
            )
        if values.get("data", self.data) != self.data:
            changed = [name for name, sketch in self.data.items() if values["data"].get(name) != sketch]
            raise BundleError(
                f"{path}: the images or labels of {listed(changed)} were changed since; use another run folder, or put "
                "back what was there"
            )
        self._check(path, tensors, values["step"])
        try:
            set_random_states(values["random"])
        except Exception as error:  # the three generators raise different errors
            raise DamagedCheckpoint(f"{path}: the random states are not whole: {last_words(error)}") from error
        self.network.load_state_dict(part(tensors, "model."))
        self.ema = {name: value.to(self.device) for name, value in part(tensors, "ema.").items()}
        load_optimizer(self.optimizer, tensors)
        self.step = values["step"]
        if _measure(mine["validation"]) == _measure(before["validation"]):
            self.best = values["best"]

    def _check(self, path: Path, tensors: dict[str, Tensor], step: int) -> None:
        expected = self.network.state_dict()
        for prefix in ("model.", "ema."):
            check_tensors(path, part(tensors, prefix), expected, prefix)
        check_optimizer(path, part(tensors, "optimizer."), step, self.optimizer)
        if strange := [name for name in tensors if not name.startswith(("model.", "ema.", "optimizer."))]:
            raise DamagedCheckpoint(f"{path}: {listed(strange)} does not belong there")

"""The optimiser and its learning rate."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW

from training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then poly decay with power 0.9 (Chen et al. 2017), a half cosine (Loshchilov & Hutter 2017) or a
    trapezoid: constant, then linearly to zero over the last ``cooldown`` steps (Hägele et al. 2024, arXiv:2405.18392),
    and again after each of the ``restarts`` (Loshchilov & Hutter 2017).
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    if config.schedule == "trapezoid":
        end = next((restart for restart in config.restarts if restart > step), config.steps)
        return config.learning_rate * min(1.0, (end - step) / config.cooldown)
    remaining = 1 - (step - config.warmup) / (config.steps - config.warmup)
    factor = math.pow(remaining, 0.9) if config.schedule == "poly" else 0.5 - 0.5 * math.cos(math.pi * remaining)
    return config.learning_rate * factor


def optimizer(config: TrainConfig, network: nn.Module) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019) without weight decay for normalisations and biases."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return AdamW(groups, lr=config.learning_rate)

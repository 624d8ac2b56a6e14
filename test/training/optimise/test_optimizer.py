"""Learning rates and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from training.config import TrainConfig
from training.optimise.optimizer import learning_rate, optimizer
from unet_seg_ros.model.unet import UNet, UNetConfig

MakeRun = Callable[..., TrainConfig]


def test_learning_rates_follow_their_formulas(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=100, warmup=10, learning_rate=0.5)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[:11] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.5])
    assert rates[55] == pytest.approx(0.5 * math.pow(0.5, 0.9))
    assert 0 < rates[99] < 0.01
    config = tiny_run(steps=100, warmup=10, learning_rate=0.5, schedule="cosine")
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[9:11] == pytest.approx([0.5, 0.5])
    assert rates[55] == pytest.approx(0.25)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[99] < 0.001
    config = tiny_run(steps=100, warmup=10, learning_rate=0.5, schedule="trapezoid", cooldown=20)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[9:81] == pytest.approx([0.5] * 72)
    assert rates[80:] == pytest.approx([0.5 * (20 - i) / 20 for i in range(20)])


def test_the_learning_rate_is_full_again_after_a_restart(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=90, warmup=10, learning_rate=0.5, schedule="trapezoid", cooldown=20, restarts=(30, 60))
    rates = [learning_rate(config, step) for step in range(90)]
    falls = [0.5 * (20 - i) / 20 for i in range(20)]
    assert rates[10:] == pytest.approx([*falls, *[0.5] * 10, *falls, *[0.5] * 10, *falls])


def test_norms_and_biases_do_not_decay(tiny_run: MakeRun) -> None:
    network = UNet(UNetConfig(widths=(8, 8, 8), depths=(1, 1, 1)))
    decayed, plain = optimizer(tiny_run(weight_decay=0.1), network).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert len(decayed["params"]) + len(plain["params"]) == len(names)
    assert all(names[id(p)].endswith("weight") and p.ndim == 4 for p in decayed["params"])
    assert all(p.ndim == 1 for p in plain["params"])

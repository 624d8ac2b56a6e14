"""Gradients in bfloat16 compared with float32, and in float32 with float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.config import load
from training.optimise.losses import CrossEntropyDice
from training.optimise.quarter_grid import quarter
from unet_seg_ros.model.unet import CONFIGS, Context, UNet, UNetConfig

ROOT = Path(__file__).parents[3]
SHIPPED = sorted({(c.model, c.crop) for c in map(load, (ROOT / "training/configs").glob("*.yaml"))})


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def gradients(network: nn.Module, images: Tensor, labels: Tensor, bf16: bool) -> dict[str, Tensor]:
    """The gradient of every parameter, computed as in the trainer."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    loss = CrossEntropyDice(torch.eye(19, dtype=torch.bool).to(logits.dtype)).to(logits.device)
    value: Tensor = loss(*quarter(logits.float() if bf16 else logits, labels, 0))
    value.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.double() for name, p in network.named_parameters() if p.grad is not None}


def batch(crop: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Smooth images with matching labels, so that the gradient is larger than the noise."""
    smooth = nn.functional.interpolate(torch.randn(1, 3, 8, 12), size=crop, mode="bicubic")
    return smooth + 0.1 * torch.randn(1, 3, *crop), ((smooth[:, 0] * 4 + 9).clamp(0, 18)).to(torch.uint8)


def far(found: dict[str, Tensor], expected: dict[str, Tensor], bound: float) -> dict[str, float]:
    """Relative errors above ``bound``, of the tensors with at least a thousandth of the gradient."""
    least = 1e-3 * max(float(value.norm()) for value in expected.values())
    errors = {n: float((found[n] - g).norm() / g.norm()) for n, g in expected.items() if float(g.norm()) > least}
    assert len(errors) > len(expected) / 2
    return {name: error for name, error in errors.items() if not error < bound}


def plain(config: UNetConfig) -> UNet:
    """Without batch normalisation, which cancels most of a gradient: bfloat16 is then 3 % off, not 50."""
    network = UNet(replace(config, norm=False)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
    return network


@pytest.mark.parametrize(("model", "crop"), SHIPPED, ids=str)
def test_bfloat16_gradients_at_the_crops_of_the_shipped_configurations(model: str, crop: tuple[int, int]) -> None:
    network = plain(CONFIGS[model])
    images, labels = batch(crop)
    expected = gradients(network, images, labels, bf16=False)
    assert not far(gradients(network, images, labels, bf16=True), expected, bound=0.1)


def test_float32_gradients_equal_float64() -> None:
    network = plain(UNetConfig(widths=(8, 16, 16), depths=(1, 1, 1)))
    images, labels = batch((64, 264))
    found = gradients(network, images, labels, bf16=False)
    expected = gradients(network.double(), images.double(), labels, bf16=False)
    assert not far(found, expected, bound=1e-3)


@pytest.mark.parametrize("columns", [7, 28, 29, 33, 61])
@pytest.mark.parametrize("width", [64, 192])
def test_gradients_of_the_context_block_at_any_width(width: int, columns: int) -> None:
    """Grouped convolutions of dilation 2 and 4 had infinite gradients from 29 columns on."""
    context = Context(width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    context.norm = nn.Identity()
    x = torch.randn(2, width, 9, columns).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(2, width, 9, columns)
    found = {}
    for bf16 in (True, False):
        context.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = context(x)
        (y.float() * weight).sum().backward()
        found[bf16] = {name: p.grad.double() for name, p in context.named_parameters() if p.grad is not None}
    assert not far(found[True], found[False], bound=0.2)

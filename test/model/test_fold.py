"""Folding normalisations into convolutions and back, compared with the network as it was trained."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unet_seg_ros.model.bundle import Manifest, load_bundle, save_bundle
from unet_seg_ros.model.fold import fold, unfold
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig

SMALL = UNetConfig(widths=(8, 16), depths=(1, 2))
SHAPES = {
    "residual with context": SMALL,
    "several branches without groups": UNetConfig(widths=(4, 6), depths=(1, 1), decoder_convs=2),
    "classic": UNetConfig((4, 8), (2, 2), stem_stride=1, residual=False, context=False, decoder_convs=2),
}
EVERY_SHAPE = pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)


def trained(config: UNetConfig, seed: int = 0) -> UNet:
    """A float64 network in eval mode whose normalisations hold values as after training."""
    torch.manual_seed(seed)
    model = UNet(config).double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, -2, 2)
            nn.init.uniform_(norm.running_var, 0.1, 4)  # type: ignore[arg-type]
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
    return model


def image(config: UNetConfig, frames: int = 2) -> torch.Tensor:
    return torch.randn(frames, 3, 4 * config.stride, 6 * config.stride, dtype=torch.float64)


@EVERY_SHAPE
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_folded_network_computes_the_same(config: UNetConfig, seed: int) -> None:
    model = trained(config, seed)
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    assert folded.config == dataclasses.replace(config, norm=False)
    assert not any(isinstance(module, nn.BatchNorm2d) or module.training for module in folded.modules())
    x = image(config)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_one_folded_pair_equals_numpy() -> None:
    model = trained(SMALL)
    conv, norm = model.stem[0], model.stem[1]
    gamma, beta, mean, var = (t.detach().numpy() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    tensors = fold(model).state_dict()
    scale = gamma / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(tensors["stem.0.weight"], conv.weight.detach().numpy() * scale.reshape(-1, 1, 1, 1))
    np.testing.assert_allclose(tensors["stem.0.bias"], beta - mean * scale)
    np.testing.assert_array_equal(tensors["stem.1.mean"], beta)
    np.testing.assert_array_equal(tensors["stem.1.std"], abs(gamma))


@EVERY_SHAPE
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_an_unfolded_network_computes_the_same(config: UNetConfig, seed: int) -> None:
    folded = fold(trained(config, seed))
    model = unfold(folded)
    assert model.config == config
    assert model.state_dict().keys() == UNet(config).state_dict().keys()
    x = image(config)
    torch.testing.assert_close(model(x), folded(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fold(model)(x), folded(x), rtol=1e-9, atol=1e-9)


@EVERY_SHAPE
def test_an_unfolded_network_trains_like_the_folded_one(config: UNetConfig) -> None:
    """If the normalisations were only the identity, the first batch's statistics would destroy what was learnt."""
    model = trained(config)
    again = unfold(fold(model))
    x = image(config, frames=8)
    expected, actual = model.train()(x), again.train()(x)
    assert (actual - expected).abs().max() < 1e-2 * expected.abs().max()  # eps has another influence


def test_dead_channels_can_be_unfolded() -> None:
    """Normalisations of which training has made the spread 0."""
    model = trained(SMALL)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data[:4] = torch.tensor([0, 1e-9, -1e-3, 3.2e-3])
    folded = fold(model)
    x = image(SMALL)
    torch.testing.assert_close(unfold(folded)(x), folded(x), rtol=1e-9, atol=1e-9)
    assert unfold(folded).train()(x).isfinite().all()


def test_folding_twice_changes_nothing() -> None:
    model = trained(SMALL)
    folded = fold(model)
    assert fold(folded) is folded
    assert unfold(model) is model


@pytest.mark.parametrize("name", ["nano", "s"])
def test_in_float32_only_the_last_bits_differ(name: str) -> None:
    model = trained(CONFIGS[name]).float()
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = model(x)
        for other in (fold(model), unfold(fold(model))):
            assert (other(x) - expected).abs().max() < 1e-4 * expected.abs().max()


@EVERY_SHAPE
def test_a_folded_network_is_saved_and_loaded(config: UNetConfig, tmp_path: Path) -> None:
    folded = fold(trained(config).float())
    for parameter in folded.parameters():
        parameter.data = parameter.data.half().float()  # a bundle can hold it
    save_bundle(tmp_path / "x.safetensors", folded, Manifest("x", folded.config, 1000))
    read = load_bundle(tmp_path / "x.safetensors").build()
    assert read.config == folded.config
    x = image(config).float()
    with torch.inference_mode():
        assert torch.equal(read(x), folded(x))
    unfold(read).train()(x).mean().backward()

"""A grown network computes what the small one does, and is free to become something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from training import grow as module
from training.grow import grow
from unet_seg_ros.model.bundle import Manifest, load_bundle, save_bundle
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig, build


def lived(name: str) -> UNet:
    """A network whose norms have seen something."""
    torch.manual_seed(3)
    net = build(name).train()
    for _ in range(3):
        net(2 * torch.randn(2, 3, 64, 96) + 1)
    return net.eval()


def test_it_computes_the_same() -> None:
    small = lived("nano").double()
    large = grow(small.float(), "s").double()
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(large(images), small.double()(images), rtol=1e-4, atol=1e-4)
    assert large.config == CONFIGS["s"]


def test_the_copies_of_a_channel_part() -> None:
    large = grow(lived("nano"), "s").train()
    F.mse_loss(large(torch.randn(2, 3, 64, 96)), torch.randn(2, 19, 32, 48)).backward()
    weight = large.get_parameter("encoder.1.0.body.0.0.weight")
    assert weight.grad is not None
    assert (weight.grad[0::2] - weight.grad[1::2]).abs().max() > 1e-3 * weight.grad.abs().max()


def test_others_are_refused() -> None:
    odd = UNet(UNetConfig(widths=(16, 32, 64, 128, 200), depths=(1, 1, 2, 2, 2)))
    for small, name in ((odd, "s"), (build("s"), "nano"), (build("nano"), "unet_classic")):
        with pytest.raises(ValueError, match=f"^{name} .* is not a wider or deeper"):
            grow(small, name)


def test_the_command_keeps_what_the_weights_were_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(tmp_path / "small.safetensors"), str(tmp_path / "large.safetensors")]
    small = build("nano")
    save_bundle(
        Path(paths[0]),
        small,
        Manifest("x", small.config, 5000, data={"town": "1"}, data_terms="free", metrics={"a": 1}),
    )
    monkeypatch.setattr("sys.argv", ["grow", paths[0], "s", paths[1]])
    module.main()
    manifest = load_bundle(Path(paths[1])).manifest
    assert (manifest.data, manifest.data_terms, manifest.metrics) == ({"town": "1"}, "free", {})
    monkeypatch.setattr("sys.argv", ["grow", str(tmp_path / "none"), "s", paths[1]])
    with pytest.raises(SystemExit, match="no such file"):
        module.main()

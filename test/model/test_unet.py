"""The same tests for every named UNet, and the limits of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from unet_seg_ros.model.bundle import Manifest, load_bundle, save_bundle
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig, build

NAMES = pytest.mark.parametrize("name", CONFIGS)


@NAMES
def test_forward_and_backward_work_for_every_network(name: str) -> None:
    torch.manual_seed(0)
    model = build(name)
    stride, step = model.config.stride, model.config.stem_stride
    logits = model(torch.randn(2, 3, stride, 2 * stride))
    assert logits.shape == (2, 19, stride // step, 2 * stride // step)
    logits.square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@NAMES
def test_other_sizes_are_refused(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
    stride = model.config.stride
    for size in ((stride + 1, stride), (stride, stride // 2), (1, 1)):
        with pytest.raises(ValueError, match=rf"multiples of {stride}, not \({size[0]}, {size[1]}\)"):
            model(torch.empty(1, 3, *size, device="meta"))


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "unet_classic"])
def test_a_loaded_network_computes_the_same(name: str, tmp_path: Path) -> None:
    model = build(name).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()  # a bundle can hold it
    save_bundle(tmp_path / "x.safetensors", model, Manifest(name, model.config, 10_000))
    loaded = load_bundle(tmp_path / "x.safetensors").build()
    assert not loaded.training
    image = torch.randn(1, 3, model.config.stride, model.config.stride)
    with torch.inference_mode():
        assert torch.equal(loaded(image), model(image))


def test_the_classic_network_has_the_papers_layers() -> None:
    """23 convolutional layers, with the up-convolutions and the last 1×1 one: figure 1 and section 2 of the paper."""
    with torch.device("meta"):
        model = build("unet_classic")
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 23
    encoder = [m.out_channels for m in model.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert encoder == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    ups = [m for m in layers if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in ups] == [(1024, 512), (512, 256), (256, 128), (128, 64)]
    assert all(m.kernel_size == m.stride == (2, 2) for m in ups)
    decoder = [(m.in_channels, m.out_channels) for m in model.decoder.modules() if isinstance(m, nn.Conv2d)]
    halves = (512, 256, 128, 64)
    assert decoder == [pair for width in halves for pair in ((2 * width, width), (width, width))]
    assert all(m.kernel_size == (3, 3) for m in layers if isinstance(m, nn.Conv2d) and m is not model.head)
    assert (model.head.kernel_size, model.head.in_channels) == ((1, 1), 64)
    assert model.config.stride == 16


def test_an_unknown_name_lists_the_known_names() -> None:
    with pytest.raises(ValueError, match="no UNet is called 'xl'; there are unet_classic, nano, s"):
        build("xl")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": (8,)}, "widths and depths need"),
        ({"widths": (8,), "depths": (1,)}, "widths and depths need"),
        ({"widths": (8, 0)}, "at least 1"),
        ({"depths": (1, 0)}, "at least 1"),
        ({"depths": (1, 1.0)}, "integers"),
        ({"widths": (8, "16")}, "integers"),
        ({"widths": (8, 1)}, "the last of widths must be at least 2"),
        ({"stem_stride": 4}, "stem_stride must be 1 or 2, not 4"),
        ({"decoder_convs": 0}, "at least 1"),
        ({"num_classes": 0}, "at least 1"),
        ({"num_classes": 256}, "at most 255"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNetConfig(**{"widths": (8, 16), "depths": (1, 1), **fields})


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("context", [True, False])
def test_the_smallest_shapes_are_built(stem_stride: int, context: bool) -> None:
    model = UNet(UNetConfig((1, 2), (1, 1), stem_stride, context=context, num_classes=1)).eval()
    assert model(torch.zeros(1, 3, 4, 4)).shape == (1, 1, 4 // stem_stride, 4 // stem_stride)

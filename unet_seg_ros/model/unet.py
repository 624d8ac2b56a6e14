"""The UNet (Ronneberger et al. 2015, arXiv:1505.04597): encoder with max-pooling, up-convolutional decoder, skips.

There is one class with several named configurations. ``unet_classic`` is the paper's own shape (with padded
convolutions and batch normalisation, as is usual today). The family that ships, ``nano`` and ``s``, is made for real
time: a strided stem, residual stages, a context block at the bottleneck and one 3×3 convolution per decoder scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_seg_ros.model.config import CONFIGS, DILATIONS, UNetConfig, context_groups
from unet_seg_ros.text import quoted

__all__ = ["CONFIGS", "UNet", "UNetConfig", "build", "norms"]


class ConvNormAct(nn.Sequential):
    """3×3 (or 1×1) convolution, batch normalisation and, if ``act``, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, act: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if act:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class FoldedNorm(nn.Module):
    """Stands where a normalisation was that is now merged into the convolution before it. It changes nothing.

    It keeps the ``mean`` and ``std`` (float[channels]) of the normalisation's output in training, for ``unfold``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and an identity shortcut (He et al. 2016), or a 1×1 one if the number of channels
    changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNormAct(inputs, outputs), ConvNormAct(outputs, outputs, act=False))
        self.shortcut = nn.Identity() if inputs == outputs else ConvNormAct(inputs, outputs, kernel=1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class Context(nn.Module):
    """Widens the field of view at the bottleneck: parallel dilated convolutions and the image's mean, added up.

    Similar to ASPP (Chen et al. 2017, arXiv:1706.05587), but cheaper: its convolutions are grouped.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.reduce = ConvNormAct(width, inner, kernel=1)
        self.branches = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, padding=d, dilation=d, groups=context_groups(inner), bias=False)
            for d in DILATIONS
        )
        self.image = nn.Conv2d(inner, inner, 1)
        self.norm = nn.BatchNorm2d(inner * len(DILATIONS))
        self.expand = ConvNormAct(inner * len(DILATIONS), width, kernel=1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)
        y = y + self.image(y.mean(dim=(2, 3), keepdim=True))
        y = F.relu(self.norm(torch.cat([_branch(y, conv) for conv in self.branches], dim=1)))
        return F.relu(x + self.expand(y), inplace=True)


def _branch(x: Tensor, conv: nn.Module) -> Tensor:
    """``conv(x)`` with the right gradient.

    On a CPU, the bfloat16 weight gradient of a grouped, dilated convolution of 29 or more columns is wrong where input
    or weight are channels last in memory (PyTorch 2.13, oneDNN): relative error 0.6 to infinity.
    """
    assert isinstance(conv, nn.Conv2d)
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return conv(x)  # type: ignore[no-any-return]
    weight = conv.weight.contiguous()
    return F.conv2d(x.contiguous(), weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)


class UpBlock(nn.Module):
    """One decoder scale: 2×2 up-convolution, concatenation with the skip connection, 3×3 convolutions."""

    def __init__(self, inputs: int, outputs: int, convs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2)
        self.fuse = nn.Sequential(*(ConvNormAct(outputs * (2 if i == 0 else 1), outputs) for i in range(convs)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        fused: Tensor = self.fuse(torch.cat([self.up(x), skip], dim=1))
        return fused


class UNet(nn.Module):
    """Images float[N, 3, H, W], normalised → logits float[N, num_classes, H / stem_stride, W / stem_stride].

    H and W must be multiples of ``config.stride`` (ValueError); the Segmenter pads frames of other sizes.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = ConvNormAct(3, widths[0], stride=2) if config.stem_stride == 2 else nn.Identity()
        stages = zip(config.inputs, widths, config.depths, strict=True)
        self.encoder = nn.ModuleList(self._stage(i, o, depth, config.residual) for i, o, depth in stages)
        self.context = Context(widths[-1]) if config.context else nn.Identity()
        self.decoder = nn.ModuleList(
            UpBlock(widths[i + 1], widths[i], config.decoder_convs) for i in reversed(range(len(widths) - 1))
        )
        self.head = nn.Conv2d(widths[0], config.num_classes, 1)
        if not config.norm:
            self._replace_norms()

    def _replace_norms(self) -> None:
        for name, convs in list(norms(self)):
            norm = self.get_submodule(name)
            assert isinstance(norm, nn.BatchNorm2d)
            self.set_submodule(name, FoldedNorm(norm.num_features))
            for conv in map(self.get_submodule, convs):
                assert isinstance(conv, nn.Conv2d)
                conv.bias = nn.Parameter(torch.zeros(conv.out_channels))

    @staticmethod
    def _stage(inputs: int, outputs: int, depth: int, residual: bool) -> nn.Sequential:
        block = ResidualBlock if residual else ConvNormAct
        return nn.Sequential(*(block(inputs if i == 0 else outputs, outputs) for i in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        stride = self.config.stride
        if x.shape[-2] % stride or x.shape[-1] % stride:
            raise ValueError(f"height and width must be multiples of {stride}, not {tuple(x.shape[-2:])}")
        x = self.stem(x)
        skips = []
        for scale, stage in enumerate(self.encoder):
            x = stage(x if scale == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        x = self.context(skips.pop())
        for block in self.decoder:
            x = block(x, skips.pop())
        logits: Tensor = self.head(x)
        return logits


def norms(model: nn.Module) -> Iterator[tuple[str, list[str]]]:
    """Each normalisation's name and the names of the convolutions before it, whose concatenated outputs it
    normalises."""
    for name, module in model.named_modules():
        if isinstance(module, ConvNormAct):
            yield f"{name}.1", [f"{name}.0"]
        elif isinstance(module, Context):
            yield f"{name}.norm", [f"{name}.branches.{i}" for i in range(len(module.branches))]


def build(name: str) -> UNet:
    """A UNet of one of the named configurations, randomly initialised. Raises ValueError for another name."""
    if name not in CONFIGS:
        raise ValueError(f"no UNet is called {quoted(name)}; there are {', '.join(CONFIGS)}")
    return UNet(CONFIGS[name])

"""A wider and deeper network that computes what a smaller one does: a start for a larger size of the same family.

``python -m training.grow SMALL.safetensors s OUTPUT.safetensors``, after Net2Net (Chen et al. 2016, arXiv:1511.05641):
each channel becomes several equal ones, the weights that read it are split among them at random, so that they part as
soon as they are trained; blocks that are new add nothing at first.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from unet_seg_ros import __version__
from unet_seg_ros.model.bundle import load_bundle, save_bundle
from unet_seg_ros.model.fold import unfold
from unet_seg_ros.model.unet import CONFIGS, ResidualBlock, UNet


def _inputs_dim(module: nn.Module) -> int | None:
    """The dimension of a module's weight that reads input channels; None where there is none."""
    if isinstance(module, nn.ConvTranspose2d):
        return 0
    return 1 if isinstance(module, nn.Conv2d) else None


def _widened(weight: Tensor, shape: torch.Size, inputs: int | None, generator: torch.Generator) -> Tensor:
    """``weight`` at a ``shape`` of which each side is a multiple of its own."""
    for dim, length in enumerate(shape):
        times = length // weight.shape[dim]
        weight = weight.repeat_interleave(times, dim)
        if dim == inputs and times > 1:
            last = weight.movedim(dim, -1)
            by_copy = last.reshape(*last.shape[:-1], -1, times)
            noise = torch.rand(by_copy.shape, generator=generator) - 0.5
            split = by_copy * (1 / times + noise - noise.mean(dim=-1, keepdim=True))
            weight = split.flatten(-2).movedim(-1, dim)
    return weight


def grow(small: UNet, name: str, seed: int = 0) -> UNet:
    """The named configuration with the weights of ``small``, in eval mode; computes the same.

    Raises ValueError unless each of its widths is a multiple of ``small``'s, with as many scales and no fewer blocks.
    """
    config, old = CONFIGS[name], small.config
    same = dataclasses.replace(config, widths=old.widths, depths=old.depths) == old
    fits = len(config.widths) == len(old.widths) and all(
        w % v == 0 for w, v in zip(config.widths, old.widths, strict=True)
    )
    if not (same and fits and all(d >= e for d, e in zip(config.depths, old.depths, strict=True))):
        raise ValueError(f"{name} ({config}) is not a wider or deeper {old}")
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    large = UNet(config)
    for module in large.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.body[-1][-1].weight)  # type: ignore[index, arg-type]
    tensors, modules = small.state_dict(), dict(small.named_modules())
    for path, target in large.state_dict().items():
        if path in tensors:
            owner = modules[path.rpartition(".")[0]]
            inputs = _inputs_dim(owner) if path.endswith("weight") else None
            target.copy_(_widened(tensors[path], target.shape, inputs, generator))
    return large.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small", type=Path, help="bundle to start from")
    parser.add_argument("name", choices=CONFIGS, help="the larger size")
    parser.add_argument("output", type=Path, help="bundle to write")
    arguments = parser.parse_args()
    try:
        bundle = load_bundle(arguments.small)
        large = grow(unfold(bundle.build()), arguments.name)
        manifest = dataclasses.replace(bundle.manifest, config=large.config, metrics={}, code_version=__version__)
        save_bundle(arguments.output, large, manifest)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

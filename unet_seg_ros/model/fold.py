"""Merges batch normalisation into the convolutions before it, for speed, and separates them again, for training."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from unet_seg_ros.model.unet import UNet, norms


def fold(model: UNet) -> UNet:
    """A network without normalisations that computes the same as ``model`` in eval mode, except for rounding.

    Returns ``model`` itself if it has no normalisations.
    """
    if not model.config.norm:
        return model
    tensors = _copied(model)
    for name, convs in norms(model):
        norm = model.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        for conv, factor, bias in zip(convs, scale.chunk(len(convs)), shift.chunk(len(convs)), strict=True):
            weight = tensors[f"{conv}.weight"]
            tensors[f"{conv}.weight"] = (weight.double() * factor[:, None, None, None]).to(weight.dtype)
            tensors[f"{conv}.bias"] = bias.to(weight.dtype)
        for key in norm.state_dict():
            del tensors[f"{name}.{key}"]
        tensors |= {f"{name}.mean": norm.bias.clone(), f"{name}.std": norm.weight.abs()}
    return _with(tensors, model, norm=False)


def unfold(model: UNet) -> UNet:
    """The reverse of ``fold``: a network with normalisations that computes the same as ``model``, except for rounding.

    It also trains like the network that was folded, because the outputs of its normalisations have the same mean and
    spread. Returns ``model`` itself if it has normalisations.
    """
    if model.config.norm:
        return model
    eps = nn.BatchNorm2d(1).eps
    tensors = _copied(model)
    for name, convs in norms(model):
        bias = torch.cat([tensors.pop(f"{conv}.bias") for conv in convs])
        mean, std = tensors.pop(f"{name}.mean"), tensors.pop(f"{name}.std")
        variance = (std.square() - eps).clamp(min=0)
        tensors |= {
            f"{name}.weight": (variance.double() + eps).sqrt().to(std.dtype),
            f"{name}.bias": mean,
            f"{name}.running_mean": mean - bias,
            f"{name}.running_var": variance,
            f"{name}.num_batches_tracked": mean.new_zeros((), dtype=torch.long),
        }
    return _with(tensors, model, norm=True)


def _copied(model: UNet) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _with(tensors: dict[str, Tensor], model: UNet, norm: bool) -> UNet:
    """The network of ``model``'s shape, with or without normalisations, that holds ``tensors``; in eval mode."""
    with torch.device("meta"):
        other = UNet(dataclasses.replace(model.config, norm=norm))
    other.load_state_dict(tensors, assign=True)
    return other.eval()

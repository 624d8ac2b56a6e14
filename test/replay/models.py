"""A network that takes a few milliseconds and whose masks have several classes."""

from __future__ import annotations

from pathlib import Path

import torch

from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig


def write_model(path: Path, seed: int = 1, max_pixels: int = 160 * 120) -> Path:
    torch.manual_seed(seed)
    network = UNet(UNetConfig(widths=(8, 8, 16), depths=(1, 1, 1)))
    torch.nn.init.normal_(network.head.weight, std=3.0)
    save_bundle(path, network, Manifest(path.stem, network.config, max_pixels))
    return path

"""A DDS domain for each run, bundles with small networks, and rclpy for the test process."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from unet_seg_ros.model.bundle import Bundle, Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.ros.bringup import bringup

os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 100))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.update(bringup({}, environ={}).environment)


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()


def make_bundle(path: Path, widths: tuple[int, ...], stem_stride: int = 2, max_pixels: int = 640 * 480) -> Bundle:
    torch.manual_seed(1)
    model = UNet(UNetConfig(widths=widths, depths=(1,) * len(widths), stem_stride=stem_stride))
    torch.nn.init.normal_(model.head.weight, std=3.0)  # so that several classes win somewhere
    return save_bundle(path, model, Manifest("tiny", model.config, max_pixels, data_terms="made for a test"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network takes a few milliseconds."""
    path = tmp_path_factory.mktemp("bundles") / "tiny.safetensors"
    make_bundle(path, widths=(8, 8, 16))
    return path


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network is slower than any camera."""
    path = tmp_path_factory.mktemp("bundles") / "slow.safetensors"
    make_bundle(path, widths=(48, 48), stem_stride=1)
    return path

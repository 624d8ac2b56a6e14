"""The confidence in a bundle is the mean over the frames of its validation split."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from training.config import TrainConfig
from training.exporting.reference_confidence import reference_confidence
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.model.bundle import Bundle, Manifest, save_bundle
from unet_seg_ros.model.unet import CONFIGS, UNet
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture
def bundle(tiny_run: Callable[..., TrainConfig], tmp_path: Path) -> Bundle:
    tiny_run()
    torch.manual_seed(0)
    model = UNet(CONFIGS["tiny"]).eval()
    return save_bundle(tmp_path / "tiny.safetensors", model, Manifest("tiny", model.config, 64 * 80))


def test_without_a_validation_split_it_is_not_measured(tiny_run: Callable[..., TrainConfig], bundle: Bundle) -> None:
    assert reference_confidence(bundle, tiny_run()) == 0


def test_the_confidence_is_the_mean_over_the_validation_frames(
    tiny_run: Callable[..., TrainConfig], bundle: Bundle, town: Path
) -> None:
    for folder in ("leftImg8bit", "gtFine"):
        shutil.copytree(town / folder / "train", town / folder / "val")
    frames = [read_image(path) for path in sorted((town / "leftImg8bit" / "val").rglob("*.png"))]
    confidences = [segmented.confidence for segmented in Segmenter.load(bundle, "cpu")(frames)]
    expected = np.mean(confidences) / 255
    assert 0 < expected < 1
    assert reference_confidence(bundle, tiny_run()) == pytest.approx(expected, abs=2e-3)

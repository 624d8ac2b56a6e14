"""A folder of tiny labelled frames in Cityscapes layout and a tiny network to train on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.config import AugmentConfig, DataConfig, TrainConfig
from unet_seg_ros.data.cityscapes import image_path, label_path
from unet_seg_ros.data.labels import LABELS
from unet_seg_ros.model.unet import CONFIGS, UNetConfig

TINY = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Six frames of 64×80 in split ``train``: road, car and sky in different colours, and a void corner."""
    root = tmp_path / "town"
    rng = np.random.default_rng(0)
    ids = {label.name: label.id for label in LABELS}
    for number in range(6):
        label = np.full((64, 80), ids["sky"], np.uint8)
        label[rng.integers(20, 40) :] = ids["road"]
        x = rng.integers(10, 50)
        label[45:60, x : x + 20] = ids["car"]
        label[:4, :4] = ids["unlabeled"]
        image = np.array([[label == ids["road"], label == ids["car"], label == ids["sky"]]]) * 200
        noisy = image[0].transpose(1, 2, 0) + rng.integers(0, 40, (64, 80, 3))
        for path, pixels in (
            (image_path(root, "train", "town", f"town_000000_{number:06}"), noisy[..., ::-1]),
            (label_path(root, "train", "town", f"town_000000_{number:06}"), label),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), pixels.astype(np.uint8))
    return root


@pytest.fixture
def tiny_run(town: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """Makes configurations of a tiny network on ``town``; keywords replace fields."""
    monkeypatch.setitem(CONFIGS, "tiny", TINY)

    def make(**fields: object) -> TrainConfig:
        source = DataConfig("town", str(town), "train", "cityscapes", "free", augment=AugmentConfig(scale=(0.8, 1.5)))
        values = {"steps": 6, "batch": 2, "warmup": 1, "crop": (32, 48), "max_pixels": 64 * 80, "save_every": 3}
        return TrainConfig(**{"model": "tiny", "data": (source,), **values, **fields})  # type: ignore[arg-type]

    return make

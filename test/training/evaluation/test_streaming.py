"""A split is played as a drive: if the network is slow, each label is compared with the mask of the frame before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.dataset import labelled_pairs, read_pair
from training.evaluation import streaming
from training.evaluation.streaming import streamed
from unet_seg_ros.data.labels import GROUPINGS, ID_TO_TRAIN_ID, VOID
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 8), depths=(1, 1))


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    torch.manual_seed(0)
    model = UNet(CONFIG)
    torch.nn.init.normal_(model.head.weight, std=3.0)
    return Segmenter.load(save_bundle(tmp_path / "x.safetensors", model, Manifest("x", CONFIG, 64 * 80)), "cpu")


def test_a_slow_network_is_compared_by_the_mask_of_the_frame_before(
    segmenter: Segmenter, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "RATES", (0.01, 1e9))
    found = streamed(segmenter, town, "train", GROUPINGS["cityscapes19"], "cityscapes")
    before, never = (ConfusionMatrix(GROUPINGS["cityscapes19"]) for _ in range(2))
    mask = np.full((64, 80), VOID, np.uint8)
    for pair in labelled_pairs(town, "train"):
        image, ids = read_pair(pair)
        before.update(ID_TO_TRAIN_ID[ids], mask)
        never.update(ID_TO_TRAIN_ID[ids], np.full_like(ids, VOID))
        mask = segmenter([image])[0].mask
    assert before.mean_iou() > 0
    assert found.mious == {0.01: before.mean_iou(), 1e9: never.mean_iou()}
    assert 0 < found.latency < 100

"""Masks of the shipped model by every CPU engine against PyTorch in float64, on streets and at odd sizes."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from test.engine.test_openvino import NATIVE_BF16, float64
from test.test_segmenter import resized_float64
from training.synthetic import DriveConfig, drive
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.engine import Engine
from unet_seg_ros.engine.openvino import OpenVinoEngine
from unet_seg_ros.engine.pytorch import TorchEngine
from unet_seg_ros.model.bundle import Bundle, load_bundle
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.model.shipped_models import shipped_or_path
from unet_seg_ros.segmenter import Segmenter

Frame = NDArray[np.uint8]
AGREE = {"fp32": 0.9999, "bf16": 0.99, "int8": 0.95}
"""The share of pixels that must agree in spite of rounding, on streets that the model was not trained on."""
SLIVER = {"int8": 0.85}
"""The same where a side has under 100 pixels: int8 clips means over so few places, which calibration has not seen."""
CASES = [
    pytest.param(OpenVinoEngine, "fp32", id="OpenVINO fp32"),
    pytest.param(OpenVinoEngine, "bf16", id="OpenVINO bf16", marks=NATIVE_BF16),
    pytest.param(OpenVinoEngine, "int8", id="OpenVINO int8"),
    pytest.param(TorchEngine, "fp32", id="PyTorch fp32"),
    pytest.param(TorchEngine, "bf16", id="PyTorch bf16", marks=NATIVE_BF16),
]
SIZES = [(360, 480), (720, 1280), (121, 203), (357, 35), (35, 357)]


@functools.cache
def bundle() -> Bundle:
    return load_bundle(shipped_or_path("unet_nano"))


@functools.cache
def segmenter(kind: type, precision: str) -> Segmenter:
    engine: Engine = kind(bundle(), precision=precision, **({"device": "cpu"} if kind is TorchEngine else {}))
    return Segmenter(engine, bundle().manifest, bundle().model_id)


@functools.cache
def street(size: tuple[int, int]) -> Frame:
    height, width = size
    return next(drive(DriveConfig(seed=7, width=width, height=height, fps=1, seconds=1))).image


def expected(frame: Frame) -> Frame:
    """The mask of the network as it was trained, without an engine, in float64."""
    working = working_size(*frame.shape[:2], bundle().manifest.max_pixels)
    padded = segmenter(OpenVinoEngine, "fp32").padded([frame], working)
    full = resized_float64(float64(bundle(), padded)[0], frame.shape[:2], working)
    return np.asarray(full.argmax(axis=0), np.uint8)


@functools.cache
def expected_of(size: tuple[int, int]) -> Frame:
    return expected(street(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "precision"), CASES)
def test_masks_of_a_street_agree_with_float64(kind: type, precision: str, size: tuple[int, int]) -> None:
    found = segmenter(kind, precision)([street(size)])[0]
    assert found.mask.shape == size
    least = SLIVER.get(precision, AGREE[precision]) if min(size) < 100 else AGREE[precision]
    assert (found.mask == expected_of(size)).mean() >= least


def test_the_street_has_many_classes() -> None:
    assert len(np.unique(expected_of(SIZES[0]))) >= 5


DATA = os.environ.get("UNET_SEG_DATA", "")


@pytest.mark.skipif(not (Path(DATA) / "camvid").is_dir(), reason="UNET_SEG_DATA names no folder with CamVid")
@pytest.mark.parametrize(("kind", "precision"), CASES)
def test_masks_of_camvid_agree_with_float64(kind: type, precision: str) -> None:
    """int8 may differ as much as was allowed when it was made."""
    pairs = find_pairs(Path(DATA) / "camvid", "val")[::50]
    frames = [read_image(pair.image) for pair in pairs]
    agree = [(seen.mask == expected(frame)).mean() for frame in frames for seen in segmenter(kind, precision)([frame])]
    assert np.mean(agree) >= max(AGREE[precision], 0.985)

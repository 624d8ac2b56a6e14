"""int8 for a bundle: calibration by NNCF, and the loss of accuracy on labelled frames."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nncf
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.dataset import labelled_pairs, read_pair
from training.data.label_sets import to_train_ids
from training.data.sampling import evenly
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.engine.openvino_graph import build_graph
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.model.bundle import Bundle, BundleError
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.segmenter import Segmenter

AGREEMENT = 0.985
"""Share of the pixels on which the masks of int8 and fp32 must agree."""
LOSS = 0.005
"""Largest loss of mIoU (0..1) by int8."""
Frame = NDArray[np.uint8]
Range = tuple[float, float]


class Split(NamedTuple):
    """Labelled frames to check on: a folder in Cityscapes layout, its split, the classes to tell apart (a name in
    ``GROUPINGS``) and what its label ids mean (a class map)."""

    root: Path
    split: str
    grouping: str
    class_map: str


class Check(NamedTuple):
    """What int8 costs on a split: share of pixels where its masks agree with fp32's, and the mIoU of both (0..1)."""

    data: str
    frames: int
    agreement: float
    miou_fp32: float
    miou_int8: float

    def passed(self) -> bool:
        return self.agreement >= AGREEMENT and self.miou_int8 >= self.miou_fp32 - LOSS

    def __str__(self) -> str:
        return (
            f"{self.data}, {self.frames} frames: masks agree on {100 * self.agreement:.2f} % of the pixels, "
            f"mIoU {100 * self.miou_int8:.2f} in int8, {100 * self.miou_fp32:.2f} in fp32"
        )


def calibrate(bundle: Bundle, frames: Iterable[Frame]) -> dict[str, Range]:
    """The ranges of all operations that int8 needs, measured on frames (uint8[H, W, 3] RGB).

    The biases are not corrected (that made the masks agree less), so that the ranges alone make the int8 network.
    """
    logging.getLogger("nncf").setLevel(logging.ERROR)
    segmenter = Segmenter.load(bundle, "cpu", precision="fp32")
    inputs = []
    for frame in frames:
        size = working_size(frame.shape[0], frame.shape[1], segmenter.max_pixels)
        inputs.append(segmenter.padded([frame], size).copy())
    quantized = nncf.quantize(
        build_graph(bundle),
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    return ranges_of(quantized)


def ranges_of(quantized: ov.Model) -> dict[str, Range]:
    """The ranges of activations in a network that NNCF has quantized, by the names of the operations before them."""
    found: dict[str, Range] = {}
    for node in quantized.get_ops():
        source = node.input_value(0).get_node() if node.get_type_name() == "FakeQuantize" else None
        if source is None or source.get_type_name() in ("Constant", "Convert", "Reshape"):  # a weight
            continue
        low, high, low_out, high_out = (np.ravel(node.input_value(i).get_node().data) for i in range(1, 5))
        if len(low) != 1 or low != low_out or high != high_out or len(source.output(0).get_target_inputs()) != 1:
            raise ValueError(f"NNCF made a quantization of {source.get_friendly_name()} that a bundle cannot hold")
        found[source.get_friendly_name()] = (float(low[0]), float(high[0]))
    return found


def check(bundle: Bundle, split: Split, most: int = 0) -> Check:
    """Compare a calibrated bundle in int8 with itself in fp32 on a split, on at most ``most`` frames (0: all)."""
    segmenters = [Segmenter.load(bundle, "cpu", precision=precision) for precision in ("fp32", "int8")]
    matrices = [ConfusionMatrix(GROUPINGS[split.grouping]) for _ in segmenters]
    train_ids = to_train_ids(split.class_map)
    pairs = evenly(labelled_pairs(split.root, split.split), most)
    agree = pixels = 0
    for pair in tqdm(pairs, split.root.name, unit="frame", dynamic_ncols=True):
        image, label_ids = read_pair(pair)
        masks = [segmenter([image])[0].mask for segmenter in segmenters]
        for matrix, mask in zip(matrices, masks, strict=True):
            matrix.update(train_ids[label_ids], mask)
        agree += int((masks[0] == masks[1]).sum())
        pixels += masks[0].size
    data = f"{split.root.name} {split.split}, {split.grouping}"
    return Check(data, len(pairs), agree / pixels, *(matrix.mean_iou() for matrix in matrices))


def with_int8(bundle: Bundle, ranges: dict[str, Range], checks: dict[str, Any]) -> Bundle:
    """The bundle with int8 in its manifest."""
    manifest = dataclasses.replace(bundle.manifest, int8_ranges=ranges, int8_checks=checks)
    return dataclasses.replace(bundle, manifest=manifest)


def refuse_unless_passed(checks: Iterable[Check]) -> None:
    """Raises BundleError, naming the first check that int8 fails."""
    for one in checks:
        if not one.passed():
            raise BundleError(
                f"int8 is not stored: {one} (needed: {100 * AGREEMENT:g} % and at most {100 * LOSS:g} mIoU lost)"
            )

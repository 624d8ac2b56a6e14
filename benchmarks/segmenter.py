"""From a frame to mask and confidence: ``python -m benchmarks.segmenter [BUNDLE]``.

Compared in the same run with what one writes first: the same network under autocast to the same precision, then
logits, softmax and maximum at the frame's full size. Prints milliseconds and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from training.synthetic import DriveConfig, drive
from unet_seg_ros.engine.pytorch import PRECISIONS, pick_precision
from unet_seg_ros.model.bundle import Bundle, load_bundle
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.segmenter import Segmenter

SIZES = ((480, 360), (640, 480), (1280, 720), (2048, 1024))
ROUNDS = 20
Frame = NDArray[np.uint8]


def plain(bundle: Bundle, device: torch.device) -> Callable[[Frame], tuple[Frame, Frame]]:
    """The baseline: frame uint8[H, W, 3] → mask and confidence, by the shortest code."""
    model = bundle.build().to(device)
    mean, std = (torch.tensor(v, device=device) for v in (bundle.manifest.mean, bundle.manifest.std))
    stride, precision = bundle.manifest.config.stride, PRECISIONS[pick_precision(device)]

    @torch.inference_mode()
    def segment(frame: Frame) -> tuple[Frame, Frame]:
        height, width = working_size(frame.shape[0], frame.shape[1], bundle.manifest.max_pixels)
        small = cv2.resize(frame, (-(-width // stride) * stride, -(-height // stride) * stride))
        x = ((torch.from_numpy(small).to(device).float() / 255 - mean) / std).permute(2, 0, 1)[None]
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(x)
        logits = F.interpolate(logits.float(), frame.shape[:2], mode="bilinear", align_corners=False)
        probability, mask = logits.softmax(dim=1).max(dim=1)
        return mask.byte().cpu().numpy(), (probability * 255).byte().cpu().numpy()

    return segment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    bundle = load_bundle(parser.parse_args().bundle)
    segmenter = Segmenter.load(bundle)
    baseline = plain(bundle, torch.device(segmenter.engine.device))
    ways: dict[str, Callable[[Frame], object]] = {"Segmenter": lambda frame: segmenter([frame]), "plain": baseline}
    print(f"{bundle.model_id} on {segmenter.engine.device}, {segmenter.engine.precision}, PyTorch {torch.__version__}")
    print(f"{'frame':>10}  {'way':<9}  {'p50 ms':>7}  {'p95 ms':>7}  ratio")
    for width, height in SIZES:
        frames = [frame.image for frame in drive(DriveConfig(seed=7, width=width, height=height, fps=1, seconds=3))]
        times: dict[str, list[float]] = {name: [] for name in ways}
        for frame, (name, way) in itertools.product(frames * ROUNDS, ways.items()):
            start = perf_counter()
            way(frame)
            times[name].append(1000 * (perf_counter() - start))
        medians = {name: float(np.median(values[len(frames) :])) for name, values in times.items()}
        for name, values in times.items():
            ratio = medians[name] / medians["Segmenter"]
            p95 = np.percentile(values[len(frames) :], 95)
            print(f"{width}×{height:<5}  {name:<9}  {medians[name]:7.1f}  {p95:7.1f}  {ratio:5.2f}")


if __name__ == "__main__":
    main()

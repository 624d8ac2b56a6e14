"""Measures the time from the disk to a random crop: ``python -m benchmarks.loading``.

The same run compares the cache, the reader of the files, and a simple data set (imread of both files, then a slice), on
frames that the benchmark writes. It prints milliseconds for each crop, the ratio of the medians to the cache, and the
number of augmented samples per second through PyTorch's loader.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from training.config import DataConfig, TrainConfig
from training.data.dataset import Frames, Samples, frames_of
from training.prepare import prepare_cache, verify
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.data.cityscapes import find_pairs

SIZES = (((2048, 1024), (1024, 1024)), ((480, 360), (352, 352)))
"""Frames and crops, width × height."""
FRAMES = 6
ROUNDS = 40
Crop = Callable[[np.random.Generator], tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def window(rng: np.random.Generator, shape: tuple[int, ...], crop: tuple[int, int]) -> tuple[slice, slice]:
    y, x = (int(rng.integers(have - want + 1)) for have, want in zip(shape, crop[::-1], strict=True))
    return slice(y, y + crop[1]), slice(x, x + crop[0])


def from_frames(frames: Frames, crop: tuple[int, int]) -> Crop:
    def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image, label = frames.read(int(rng.integers(len(frames.counts))))
        where = window(rng, label.shape, crop)
        return image[where].copy(), label[where].copy()

    return draw


def plain(root: Path, crop: tuple[int, int]) -> Crop:
    """The baseline: the simplest code."""
    pairs = find_pairs(root, "train")

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pair = pairs[rng.integers(len(pairs))]
        image = cv2.cvtColor(np.asarray(cv2.imread(str(pair.image))), cv2.COLOR_BGR2RGB)
        label = np.asarray(cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED), np.uint8)
        where = window(rng, label.shape, crop)
        return np.asarray(image[where], np.uint8).copy(), label[where].copy()

    return draw


def crops(ways: dict[str, Crop]) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each crop. The ways take turns, and the first round is left out."""
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, draw in ways.items():
            start = perf_counter()
            draw(rng)
            times[name].append(1000 * (perf_counter() - start))
    return {name: np.array(values[1:]) for name, values in times.items()}


def samples_per_second(source: DataConfig, crop: tuple[int, int], workers: int) -> float:
    config = TrainConfig("nano", (source,), steps=16, max_pixels=172800, crop=(crop[1], crop[0]), batch=4, warmup=0)
    loader = DataLoader(Samples(config), 4, num_workers=workers)
    batches = iter(loader)
    next(batches)  # the workers have started
    start = perf_counter()
    return 4 * sum(1 for _ in batches) / (perf_counter() - start)


def main() -> None:
    print(f"{'frame':>10}  {'crop':>9}  {'way':<7}  {'p50 ms':>7}  {'p95 ms':>7}  ratio")
    for size, crop in SIZES:
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            list(write_drive(DriveConfig(3, *size, fps=1, seconds=FRAMES), root))
            files = DataConfig(
                "town", str(root), "train", "cityscapes", "rendered by this project", cache=str(root / "no")
            )
            cached = dataclasses.replace(files, cache="")
            prepare_cache(root, verify(root, "train", "gtFine"), "gtFine", root / "cache")
            ways = {"cache": frames_of(cached), "files": frames_of(files)}
            times = crops(
                {**{name: from_frames(frames, crop) for name, frames in ways.items()}, "plain": plain(root, crop)}
            )
            for name, values in times.items():
                p50, p95 = np.percentile(values, (50, 95))
                ratio = p50 / np.median(times["cache"])
                what = f"{size[0]}×{size[1]:<5}  {crop[0]}×{crop[1]:<4}"
                print(f"{what}  {name:<7}  {p50:7.2f}  {p95:7.2f}  {ratio:5.1f}")
            for workers in (1, 2):
                cache, file = (samples_per_second(source, crop, workers) for source in (cached, files))
                print(f"  samples/s, {workers} workers: cache {cache:.1f}, files {file:.1f}, ratio {cache / file:.2f}")


if __name__ == "__main__":
    main()

"""Makes augmented training samples from folders in Cityscapes layout.

Sample number ``n`` of a run depends only on the seed and on ``n``. So a run that is resumed at step k draws the same
samples as without the interruption, whatever the number of loader processes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from training.config import AugmentConfig, DataConfig, TrainConfig
from training.data.augment import crop_at_scale, photometric
from training.data.cache import Decoded, cache_paths, frame_names, open_cache, sketch, state
from training.data.label_sets import LabelSets, strange_ids
from training.data.sampling import UniformChoice, pixel_of, window_at
from unet_seg_ros.data.cityscapes import Pair, find_pairs, missing_labels
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.text import quoted


def labelled_pairs(
    root: Path, split: str, labels: str = "gtFine", leave_out: Sequence[str] = (), cities: Sequence[str] = ()
) -> list[Pair]:
    """The pairs of a split that have a label: those of ``cities`` (empty: all), without those of ``leave_out``.

    Raises FileNotFoundError, which names the first image without a label; ValueError for a city that does not exist,
    or if no pair is left.
    """
    pairs = find_pairs(root, split, labels)
    known = {pair.image.parent.name for pair in pairs}
    unknown = sorted({*leave_out, *cities} - known)
    if unknown:
        raise ValueError(f"{root}, {split}: no city {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = set(cities or known) - set(leave_out)
    if not chosen:
        raise ValueError(f"{root}, {split}: no images are left without {', '.join(leave_out)}")
    pairs = [pair for pair in pairs if pair.image.parent.name in chosen]
    for pair in pairs:
        if pair.label is None:
            there = missing_labels(root, split, labels)
            expected = f"{pair.image}: no label file ({pair.name}_{labels}_labelIds.png) beside it"
            raise FileNotFoundError(f"{expected}; {there}" if there else expected)
    return pairs


def read_pair(pair: Pair) -> Decoded:
    """Image (H×W×3 uint8 RGB) and label ids (H×W uint8) of a labelled pair.

    Raises ValueError naming the file that cannot be read or does not fit the other.
    """
    if pair.label is None:
        raise ValueError(f"{pair.image}: has no label file")
    image, label = read_image(pair.image), read_label(pair.label)
    if label.shape != image.shape[:2]:
        raise ValueError(f"{pair.label}: {label.shape} pixels (height, width), but its image has {image.shape[:2]}")
    return Decoded(image, label)


class Frames(Protocol):
    """Labelled frames by number; ``counts`` is int64[frames, 256]: the pixels of each label id."""

    counts: NDArray[np.int64]

    def read(self, number: int) -> Decoded: ...


class FileFrames:
    """Frames read from their files. All files are read once at the start: the labels, to know which classes they show,
    and the images, because a damaged one would end the run at the step that draws it."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            counted = tqdm(pool.map(self._count, pairs), "read", len(pairs), unit="frame", delay=2, leave=False)
            self.counts = np.stack(list(counted))

    @staticmethod
    def _count(pair: Pair) -> NDArray[np.int64]:
        return np.bincount(read_pair(pair).label.ravel(), minlength=256)

    def read(self, number: int) -> Decoded:
        return read_pair(self.pairs[number])


def frames_of(source: DataConfig) -> Frames:
    """A source's frames: from its cache if there is one, else from the files.

    Raises FileNotFoundError or ValueError, which name what cannot be used; that may be a cache of other files.
    """
    root = Path(source.root)
    every = find_pairs(root, source.split, source.labels)
    pairs = labelled_pairs(root, source.split, source.labels, source.leave_out)
    paths = cache_paths(Path(source.cache or root / "cache"), source.split, source.labels)
    cached = open_cache(paths, state(root, every), frame_names(pairs))
    return cached or FileFrames(pairs)


def data_sketch(source: DataConfig) -> str:
    """Identifies a source's images and labels without reading all of their bytes, see ``cache.sketch``. Raises
    FileNotFoundError or ValueError if there are none."""
    root = Path(source.root)
    return sketch(root, labelled_pairs(root, source.split, source.labels, source.leave_out))


class Source:
    """One folder to train on: its frames, what their labels mean, and how they are drawn."""

    def __init__(self, config: DataConfig, augment: AugmentConfig, sets: LabelSets) -> None:
        self.config = config
        self.augment = config.augment or augment
        self.table = sets.tables[config.class_map]
        self.frames = frames_of(config)
        of_sets = [self.frames.counts[:, self.table == k].sum(axis=1) for k in range(len(sets.sets))]
        self.counts = np.stack(of_sets, axis=1)
        if strange := strange_ids(np.flatnonzero(self.frames.counts.sum(axis=0)).tolist(), config.class_map):
            raise ValueError(f"data {quoted(config.name)}: {strange}")
        self.uniform = UniformChoice(self.counts)

    def pixel_share(self) -> NDArray[np.float64]:
        """The share of each set among the labelled pixels, float64[K]."""
        totals = self.counts.sum(axis=0).astype(np.float64)
        share: NDArray[np.float64] = totals / max(1.0, totals.sum())
        return share

    def draw(self, rng: np.random.Generator, crop: tuple[int, int], zoom: float = 1.0) -> Decoded:
        """A random window at a random scale, height × width = ``crop``: image and set indices (255 = void).

        ``zoom`` multiplies the scale.
        """
        scale = zoom * float(np.exp(rng.uniform(*np.log(self.augment.scale))))
        stretch = float(np.exp(rng.uniform(-0.5, 0.5) * np.log(self.augment.stretch)))
        scales = scale / stretch, scale * stretch
        chosen = self.uniform.draw(rng) if rng.random() < self.config.uniform else None
        if chosen:
            wanted, number = chosen
            frame = self.frames.read(number)
            pixel = pixel_of(frame.label, self.table == wanted, rng)
            at = window_at(pixel, frame.label.shape, [side / s for side, s in zip(crop, scales, strict=True)], rng)
        else:
            frame = self.frames.read(int(rng.integers(len(self.counts))))
            at = list(rng.uniform(size=2))
        image, label = crop_at_scale(frame.image, frame.label, crop, scales, at)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return Decoded(photometric(image, rng, self.augment), self.table[label])


class Samples(Dataset[tuple[Tensor, Tensor]]):
    """Sample n → image uint8[H, W, 3] (RGB) and label uint8[H, W] (indices into ``sets.sets``, 255 = void)."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.sets = LabelSets.of([source.class_map for source in config.data])
        self.sources = [Source(source, config.augment, self.sets) for source in config.data]
        weights = np.array([source.weight for source in config.data], np.float64)
        self.share = weights / weights.sum()

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        config = self.config
        rng = np.random.default_rng((config.seed, number))
        source = self.sources[int(rng.choice(len(self.sources), p=self.share))]
        if number < config.half_steps * config.batch:
            height, width = config.crop
            image, label = source.draw(rng, (height // 2, width // 2), 0.5)
        else:
            image, label = source.draw(rng, config.crop)
        return torch.from_numpy(image), torch.from_numpy(np.ascontiguousarray(label))

    def pixel_share(self) -> NDArray[np.float64]:
        """The share of each set among the labelled pixels of all sources, by their weights, float64[K]."""
        share: NDArray[np.float64] = self.share @ np.stack([source.pixel_share() for source in self.sources])
        return share

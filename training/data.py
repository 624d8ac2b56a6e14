"""From folders in Cityscapes layout to augmented training samples.

Sample number ``n`` of a run depends on nothing but the seed and ``n``: a run resumed at step k draws exactly what it
would have drawn uninterrupted, whatever the number of loader processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.config import DataConfig
from training.label_sets import LabelSets
from unet_seg_ros.cityscapes import Pair, find_pairs, read_image, read_label
from unet_seg_ros.labels import VOID
from unet_seg_ros.model.bundle import MEAN_COLOR

Image = NDArray[np.uint8]


def labelled_pairs(root: Path, split: str) -> list[Pair]:
    """The pairs of a split, all with a label. Raises FileNotFoundError naming the first image without one."""
    pairs = find_pairs(root, split)
    for pair in pairs:
        if pair.label is None:
            raise FileNotFoundError(f"{pair.image}: no label file ({pair.name}_gtFine_labelIds.png) beside it")
    return pairs


def read_pair(pair: Pair) -> tuple[Image, Image]:
    """Image (H×W×3 uint8 RGB) and label ids (H×W uint8) of a labelled pair.

    Raises ValueError naming the file that cannot be read or does not fit the other.
    """
    if pair.label is None:
        raise ValueError(f"{pair.image}: has no label file")
    image, label = read_image(pair.image), read_label(pair.label)
    if label.shape != image.shape[:2]:
        raise ValueError(f"{pair.label}: {label.shape} pixels (height, width), its image has {image.shape[:2]}")
    return image, label


def crop_at_scale(
    image: Image, label: Image, size: tuple[int, int], scale: float, at: Sequence[float] | NDArray[np.float64]
) -> tuple[Image, Image]:
    """A window of ``size`` (height, width) from the image magnified by ``scale``; outside it: mean colour and void.

    ``at`` (each 0..1) says where, from top left to bottom right.
    """
    window = [max(1, round(length / scale)) for length in size]
    missing = [max(0, w - have) for w, have in zip(window, label.shape, strict=True)]
    start = [round(f * (have + m - w)) - m // 2 for f, have, m, w in zip(at, label.shape, missing, window, strict=True)]
    stop = [s + w for s, w in zip(start, window, strict=True)]
    inside = tuple(slice(max(0, a), min(b, have)) for a, b, have in zip(start, stop, label.shape, strict=True))
    border = [b for a, e, have in zip(start, stop, label.shape, strict=True) for b in (max(0, -a), max(0, e - have))]
    top, bottom, left, right = border
    fill = cv2.BORDER_CONSTANT
    window_image = cv2.copyMakeBorder(image[inside], top, bottom, left, right, fill, value=MEAN_COLOR)
    window_label = cv2.copyMakeBorder(label[inside], top, bottom, left, right, fill, value=VOID)
    shrink_or_grow = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image_out = cv2.resize(window_image, size[::-1], interpolation=shrink_or_grow)
    label_out = cv2.resize(window_label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(image_out, np.uint8), np.asarray(label_out, np.uint8)


def jitter_color(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Random brightness, contrast, saturation and white balance, each by up to ``strength`` (0..1)."""
    gain, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    balance = 1 + rng.uniform(-strength, strength, 3) * 0.3
    x = image.astype(np.float32)
    gray = x.mean(axis=2, keepdims=True)
    x = gray + (x - gray) * np.float32(saturation)
    mean = np.float32(gray.mean())
    x = ((x - mean) * np.float32(contrast) + mean) * (gain * balance).astype(np.float32)
    jittered: Image = np.clip(x, 0, 255).astype(np.uint8)
    return jittered


class Samples(Dataset[tuple[Tensor, Tensor]]):
    """Sample n → image uint8[H, W, 3] (RGB) and label uint8[H, W] (indices into ``sets.sets``, 255 = void)."""

    def __init__(self, sources: Sequence[DataConfig], crop: tuple[int, int], seed: int, length: int) -> None:
        self.sources = sources
        self.pairs = [labelled_pairs(Path(source.root), source.split) for source in sources]
        self.sets = LabelSets.of([source.grouping for source in sources])
        weights = np.array([source.weight for source in sources], np.float64)
        self.share = weights / weights.sum()
        self.crop = crop
        self.seed = seed
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, number))
        which = int(rng.choice(len(self.sources), p=self.share))
        source = self.sources[which]
        pair = self.pairs[which][rng.integers(len(self.pairs[which]))]
        image, label_ids = read_pair(pair)
        label = self.sets.tables[source.grouping][label_ids]
        scale = float(np.exp(rng.uniform(*np.log(source.scale))))
        image, label = crop_at_scale(image, label, self.crop, scale, rng.uniform(size=2))
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        image = jitter_color(image, rng, source.color)
        return torch.from_numpy(image), torch.from_numpy(np.ascontiguousarray(label))

    def pixel_share(self) -> NDArray[np.float64]:
        """Share of the labelled pixels that each set has in what is drawn, float64[K].

        Of a source of 800 files or more only every n-th is read: 400 to 799.
        """
        share = np.zeros(len(self.sets.sets))
        for source, pairs, weight in zip(self.sources, self.pairs, self.share, strict=True):
            counts = np.zeros(256)
            for pair in pairs[:: max(1, len(pairs) // 400)]:
                assert pair.label is not None  # labelled_pairs saw to it
                counts += np.bincount(self.sets.tables[source.grouping][read_label(pair.label)].ravel(), minlength=256)
            share += weight * counts[: len(share)] / max(1.0, counts[: len(share)].sum())
        return share

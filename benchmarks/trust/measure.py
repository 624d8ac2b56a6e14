"""Signals and accuracy of clean and corrupted frames, as one table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust import autoware
from benchmarks.trust.corruptions import CORRUPTIONS
from benchmarks.trust.sources import Frames, Marks, Source, read
from unet_seg_ros.health.monitor import Measurement
from unet_seg_ros.segmenter import Segmenter

CLEAN = "clean"
FROZEN = "frozen"
STAYING = ("dirt", "obstruction", "frost")
"""Corruptions that stay where they are from frame to frame."""

FACTS = ("source", "corruption", "severity", "frame", "miou", "clean_miou", "autoware")
"""Columns of the table besides the signals."""


@dataclass(frozen=True)
class Table:
    """One row for each frame under each corruption: names of source and corruption, severity (0 = clean), the frame's
    number, its mIoU (NaN without a label), the mIoU of the same frame when clean, Autoware's level, and the signals
    float64[rows, names]."""

    source: NDArray[np.str_]
    corruption: NDArray[np.str_]
    severity: NDArray[np.int64]
    frame: NDArray[np.int64]
    miou: NDArray[np.float64]
    clean_miou: NDArray[np.float64]
    autoware: NDArray[np.int64]
    names: NDArray[np.str_]
    signals: NDArray[np.float64]

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **self.__dict__)

    @classmethod
    def load(cls, path: Path) -> Table:
        with np.load(path) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})

    def where(self, chosen: NDArray[np.bool_]) -> Table:
        """The rows where ``chosen`` is true."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Table(**{name: part if name == "names" else part[chosen] for name, part in parts.items()})


def measured(segmenter: Segmenter, sources: Sequence[Source], most: int, severities: Sequence[int]) -> Table:
    """Everything of at most ``most`` frames of each source. Pictures of many places are measured clean only."""
    rows: list[tuple[str, str, int, int, float, float, int]] = []
    values: list[list[float]] = []
    names: list[str] = []
    for source in sources:
        frames = read(source, most)
        marks = Marks(source.class_map) if source.class_map else None
        still = source.path == "unlabelled"
        runs = [(CLEAN, 0), *([] if still else [(c, s) for c in CORRUPTIONS for s in severities])]
        runs += [] if still else [(FROZEN, 5)]
        clean: list[float] = []
        for corruption, severity in runs:
            mious = []
            for number, (miou, level, signals) in enumerate(_run(segmenter, frames, marks, corruption, severity)):
                names = names or list(signals)
                mious.append(miou)
                reference = clean[number] if corruption != CLEAN else miou
                values.append([signals[name] for name in names])
                rows.append((source.name, corruption, severity, number, miou, reference, level))
            clean = clean or mious
        print(f"{source.name}: {len(frames.images)} frames", flush=True)
    columns = dict(zip(FACTS, (np.array(column) for column in zip(*rows, strict=True)), strict=True))
    return Table(**columns, names=np.array(names), signals=np.array(values))


def _run(
    segmenter: Segmenter, frames: Frames, marks: Marks | None, corruption: str, severity: int
) -> list[tuple[float, int, dict[str, float]]]:
    """The frames one after another, as one camera sends them: mIoU, Autoware's level and signals of each."""
    camera = Measurement(segmenter.manifest)
    results = []
    for number, (image, label) in enumerate(zip(frames.images, frames.labels, strict=True)):
        seed = [severity] if corruption in STAYING else [severity, number]
        if corruption == FROZEN:
            image, label = frames.images[0], frames.labels[0]
        elif corruption != CLEAN:
            image = CORRUPTIONS[corruption](image, severity, np.random.default_rng(seed))
        seen = segmenter([image])[0]
        signals = camera.signals(seen, round(number * frames.apart * 1e9), 0.0)
        miou = marks.mean_iou(label, seen.mask) if marks and label is not None else float("nan")
        results.append((miou, autoware.level(image), signals))
    return results

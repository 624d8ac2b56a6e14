"""Measures signals and accuracy of clean and corrupted frames, in one table of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust import autoware
from benchmarks.trust.corruptions import CORRUPTIONS, SEVERITIES
from benchmarks.trust.sources import MANY_PLACES, Frames, Marks, Source, read
from unet_seg_ros.health.trust import Measurement
from unet_seg_ros.segmenter import Segmenter

CLEAN = "clean"
FROZEN = "frozen"
STAYING = ("dirt", "obstruction", "frost")
"""Corruptions that stay at the same place from frame to frame."""
LONG = 24
"""Smallest number of frames of a drive with one of these corruptions, which need several frames to be detected."""

FACTS = ("source", "corruption", "severity", "frame", "miou", "clean_miou", "autoware", "place")
"""Columns of the table besides the signals."""


@dataclass(frozen=True)
class Table:
    """One row for each frame under each corruption: names of source and corruption, severity (0 = clean), the frame's
    number, its mIoU (NaN without a label), the mIoU of the clean frame, Autoware's level, the number of earlier frames
    of the same drive, and the signals float64[rows, names]."""

    source: NDArray[np.str_]
    corruption: NDArray[np.str_]
    severity: NDArray[np.int64]
    frame: NDArray[np.int64]
    miou: NDArray[np.float64]
    clean_miou: NDArray[np.float64]
    autoware: NDArray[np.int64]
    place: NDArray[np.int64]
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


@dataclass(frozen=True)
class Amount:
    """Largest numbers of frames of each source: clean frames, and how many of them are corrupted; the severities."""

    clean: int
    corrupted: int
    severities: tuple[int, ...]


def with_reference(segmenter: Segmenter, sources: Sequence[Source]) -> Segmenter:
    """The segmenter. If its bundle has no reference confidence, it gets the mean confidence on some labelled frames of
    ``sources``."""
    if segmenter.manifest.reference_confidence:
        return segmenter
    means = [
        np.mean([segmenter([image])[0].confidence.mean() for image in read(source, 12).images]) / 255
        for source in sources
        if source.class_map
    ]
    manifest = replace(segmenter.manifest, reference_confidence=float(np.mean(means)))
    return Segmenter(segmenter.engine, manifest, segmenter.model_id, segmenter.max_pixels)


def measured(segmenter: Segmenter, sources: Sequence[Source], amount: Amount) -> Table:
    """Measure the frames of each source. Images of many places are measured clean only."""
    rows: list[Row] = []
    for source in sources:
        frames = read(source, amount.clean)
        run = Run(segmenter, frames, Marks(source.class_map) if source.class_map else None)
        clean = run.frames(CLEAN, 0, 1)
        step = max(1, -(-len(frames.images) // amount.corrupted))
        runs = [(c, s) for c in CORRUPTIONS for s in amount.severities] if source.name != MANY_PLACES else []
        runs += [(FROZEN, max(SEVERITIES))] if runs else []
        reference = {row.frame: row.miou for row in clean}
        often = max(1, min(step, len(frames.images) // LONG))
        steps = [often if corruption in STAYING else step for corruption, _ in runs]
        corrupted = (run.frames(*what, every) for what, every in zip(runs, steps, strict=True))
        for row in itertools.chain(clean, *corrupted):
            rows.append(replace(row, source=source.name, clean_miou=reference[row.frame]))
        print(f"{source.name}: {len(frames.images)} frames, every {step}th of them is corrupted", flush=True)
    names = list(rows[0].signals)
    facts = {fact: np.array([getattr(row, fact) for row in rows]) for fact in FACTS}
    signals = np.array([[row.signals[name] for name in names] for row in rows])
    return Table(**facts, names=np.array(names), signals=signals)


@dataclass(frozen=True)
class Row:
    """The measurements of one frame, a row of the table."""

    corruption: str
    severity: int
    frame: int
    miou: float
    autoware: int
    signals: dict[str, float]
    place: int = 0
    source: str = ""
    clean_miou: float = float("nan")


class Run:
    """Measures the frames of one source in order, as one camera sends them."""

    def __init__(self, segmenter: Segmenter, frames: Frames, marks: Marks | None) -> None:
        self._segmenter = segmenter
        self._frames = frames
        self._marks = marks

    def frames(self, corruption: str, severity: int, step: int) -> list[Row]:
        """Measure every ``step``th frame under a corruption."""
        camera = Measurement(self._segmenter.manifest)
        rows: list[Row] = []
        for number in range(0, len(self._frames.images), step):
            place = 0 if corruption == FROZEN else number
            image, label = self._frames.images[place], self._frames.labels[place]
            if corruption in CORRUPTIONS:
                seed = [severity] if corruption in STAYING else [severity, number]
                image = CORRUPTIONS[corruption](image, severity, np.random.default_rng(seed))
            seen = self._segmenter([image])[0]
            signals = camera.signals(seen, round(number * self._frames.apart * 1e9))
            miou = self._marks.mean_iou(label, seen.mask) if self._marks and label is not None else float("nan")
            rows.append(Row(corruption, severity, number, miou, autoware.level(image), signals, len(rows)))
        return rows

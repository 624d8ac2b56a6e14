"""Check a data set before training and write its cache: ``python -m training.prepare DATA``.

DATA has the Cityscapes layout. Every file is read, and all problems are listed. ``--class-map`` names the class map of
label ids that are not Cityscapes'. Then the pixels are written into a cache (``training.data.cache``), from which
random crops are read fast. The cache is written again if the files have changed.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data.cache import Decoded, cache_paths, frame_names, open_cache, state, write_cache
from training.data.dataset import read_pair
from training.data.label_sets import LabelSets, strange_ids
from training.interruption import end_in_one_line
from unet_seg_ros.data.cityscapes import LABEL_FOLDERS, Pair, find_pairs, label_files, shared_labels, splits
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import LABELS, VOID
from unet_seg_ros.files import locked
from unet_seg_ros.text import never_fail_to_print

CITYSCAPES = {"train": 2975, "val": 500, "test": 1525, "train_extra": 19998}
"""Images in each split of the real Cityscapes."""
ITS_CITIES = {"train": "aachen", "val": "frankfurt", "test": "berlin", "train_extra": "augsburg"}
"""A city of each split; it shows that the data set is the real Cityscapes."""
UNLABELLED = "test"
"""The split whose labels are not public."""
CITYSCAPES_IDS = frozenset({VOID, *(label.id for label in LABELS)})


class Meaning:
    """The meaning of a data set's label ids, by its class map (a name or a path).

    ``name`` is the class map; ``table`` is uint8[256], label id → set of classes (255 = void); ``known`` are the ids
    that labels may hold: Cityscapes' own and those of the class map. Raises FileNotFoundError or ValueError for a class
    map that cannot be used.
    """

    def __init__(self, class_map: str = "cityscapes") -> None:
        self.name = class_map
        self.table = LabelSets.of([class_map]).tables[class_map]
        self.known = CITYSCAPES_IDS | set(np.flatnonzero(self.table != VOID).tolist())


@dataclass
class Checked:
    """The check of one frame: its size (height, width), the number of pixels of each label id, its problems."""

    size: tuple[int, int] | None = None
    counts: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass
class Split:
    """The check of one split."""

    name: str
    meaning: Meaning
    pairs: list[Pair]
    frames: list[Checked]
    strays: list[Path] = field(default_factory=list)
    """Labels without an image."""

    @property
    def counts(self) -> Counter[int]:
        """The number of pixels of each label id."""
        return sum((frame.counts for frame in self.frames), Counter())

    @property
    def problems(self) -> list[str]:
        """One line for each problem."""
        found = [problem for frame in self.frames for problem in frame.problems]
        found += [f"{path}: no image for this label" for path in self.strays]
        found += shared_labels(self.pairs)
        if (counts := self.counts) and (strange := strange_ids(counts, self.meaning.name)):
            found.append(f"{self.name}: {strange}")
        cities = {pair.image.parent.name for pair in self.pairs}
        expected = CITYSCAPES.get(self.name, 0)
        if ITS_CITIES.get(self.name) in cities and len(self.pairs) != expected:
            found.append(f"{self.name}: {len(self.pairs)} images, but Cityscapes has {expected}")
        return found

    def row(self) -> list[str]:
        """The split's row in the table."""
        sizes = Counter(frame.size for frame in self.frames if frame.size)
        shown = ", ".join(
            f"{width}×{height}" + (f" ({n})" if len(sizes) > 1 else "") for (height, width), n in sizes.most_common(3)
        )
        counts = self.counts
        of_sets: Counter[int] = Counter()
        for label_id, n in counts.items():
            of_sets[int(self.meaning.table[label_id])] += n
        void = of_sets.pop(VOID, 0) / max(1, sum(counts.values()))
        labels = sum(pair.label is not None for pair in self.pairs)
        cells = [
            len(self.pairs),
            labels,
            len({pair.image.parent.name for pair in self.pairs}),
            shown + " …" * (len(sizes) > 3),
        ]
        return [self.name, *map(str, cells), str(len(of_sets)), f"{100 * void:.1f} %", str(len(self.problems))]


def _check_image(path: Path, frame: Checked) -> None:
    try:
        frame.size = read_image(path).shape[:2]
    except ValueError as error:
        frame.problems.append(str(error))


def _check_label(path: Path, frame: Checked, meaning: Meaning) -> None:
    try:
        label = read_label(path)
    except ValueError as error:
        frame.problems.append(str(error))
        return
    ids, counts = np.unique(label, return_counts=True)
    frame.counts.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
    if frame.size and label.shape != frame.size:
        sizes = [f"{width}×{height}" for height, width in (label.shape, frame.size)]
        frame.problems.append(f"{path}: {sizes[0]} pixels, but its image has {sizes[1]}")
    unknown = sorted(set(ids.tolist()) - meaning.known)
    if unknown:
        listed = ", ".join(map(str, unknown))
        frame.problems.append(f"{path}: unknown label ids (neither in Cityscapes nor in the class map): {listed}")
    elif (meaning.table[ids] == VOID).all():
        frame.problems.append(f"{path}: every pixel is void, so there is nothing to train on")


def check(pair: Pair, split: str, meaning: Meaning) -> Checked:
    """Read and check a frame's files. The labels of the test split are not read."""
    frame = Checked()
    _check_image(pair.image, frame)
    if split != UNLABELLED:
        if pair.label is None:
            frame.problems.append(f"{pair.image}: no label file")
        else:
            _check_label(pair.label, frame, meaning)
    return frame


def verify(root: Path, split: str, labels: str, class_map: str = "cityscapes") -> Split:
    """Read and check all files of a split; ``class_map`` gives the meaning of its label ids.

    Raises FileNotFoundError if the split does not exist, and FileNotFoundError or ValueError for the class map.
    """
    meaning = Meaning(class_map)
    pairs = find_pairs(root, split, labels)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV releases Python's lock while it decodes
        frames = list(
            tqdm(pool.map(lambda pair: check(pair, split, meaning), pairs), f"verify {split}", len(pairs), unit="frame")
        )
    with_image = {pair.label for pair in pairs}
    strays = sorted(set(label_files(root, split, labels)) - with_image)
    return Split(split, meaning, pairs, frames, strays)


def decoded(pairs: Sequence[Pair]) -> Iterator[Decoded]:
    """The frames in order; a few are read ahead."""
    ahead = 2 * (os.cpu_count() or 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pairs), ahead):
            yield from pool.map(read_pair, pairs[start : start + ahead])


def prepare_cache(root: Path, split: Split, labels: str, folder: Path) -> bool:
    """Write the split's cache unless there is an up-to-date one. Returns whether it was written. Raises OSError."""
    paths, source = cache_paths(folder, split.name, labels), state(root, split.pairs)
    names = frame_names(split.pairs)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{paths[0].name}.lock"):  # another process may write the same cache
        try:
            if open_cache(paths, source, names):
                return False
        except ValueError:
            pass  # the cache is outdated or damaged, so it is written again
        size = sum(4 * frame.size[0] * frame.size[1] for frame in split.frames if frame.size)
        frames = tqdm(decoded(split.pairs), f"cache {split.name}", len(names), unit="frame")
        write_cache(paths, source, names, frames, size)
    return True


def labelled_splits(root: Path, labels: str) -> list[str]:
    """The splits to check. Splits without such labels are left out with a message, unless all are.

    Raises ValueError if there are no splits.
    """
    names = splits(root)
    if not names:
        raise ValueError(f"{root}: not in Cityscapes layout; there is no folder leftImg8bit that contains splits")
    missing = [name for name in names if name != UNLABELLED and not (root / labels / name).is_dir()]
    if missing and set(missing) != set(names) - {UNLABELLED}:
        print(f"left out, because they have no {labels}: {', '.join(missing)}")
        return [name for name in names if name not in missing]
    return names


def table(found: Sequence[Split]) -> str:
    """The table of the checks, a row for each split."""
    header = ["split", "images", "labels", "cities", "size", "classes", "void", "problems"]
    rows = [header, *(split.row() for split in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder in Cityscapes layout")
    parser.add_argument("--splits", nargs="+", help="splits to check (default: all)")
    parser.add_argument("--labels", choices=LABEL_FOLDERS, default="gtFine")
    parser.add_argument(
        "--class-map", default="cityscapes", help="meaning of the ids: in training/class_maps, or a path"
    )
    parser.add_argument("--cache", type=Path, help="folder for the cache (default: DATA/cache)")
    parser.add_argument("--verify-only", action="store_true", help="write no cache")
    arguments = parser.parse_args()
    root: Path = arguments.data
    try:
        names = arguments.splits or labelled_splits(root, arguments.labels)
        found = [verify(root, name, arguments.labels, arguments.class_map) for name in names]
        print(table(found))
        problems = [problem for split in found for problem in split.problems]
        if problems:
            raise ValueError("\n".join([f"{len(problems)} problems:", *problems]))
        for split in found:
            if split.name != UNLABELLED and not arguments.verify_only:
                made = prepare_cache(root, split, arguments.labels, arguments.cache or root / "cache")
                print(f"{split.name}: cache {'written' if made else 'is up to date'}")
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

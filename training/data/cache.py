"""A cache of decoded frames: a file of raw pixels, which is mapped into memory, and an index.

``FOLDER/SPLIT.LABELS.bin`` holds, frame after frame, the image's H×W×3 RGB bytes row by row and then the H×W label
ids. It does not hold train ids, since class maps differ between runs. ``FOLDER/SPLIT.LABELS.json`` is the index; it is
written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.cityscapes import Pair
from unet_seg_ros.files import write_atomically

FORMAT = 2
END_BYTES = 4096
"""Number of bytes at the beginning and at the end of a file that ``sketch`` reads."""
Image = NDArray[np.uint8]


class Decoded(NamedTuple):
    """A frame's image H×W×3 uint8 RGB and label ids H×W uint8."""

    image: Image
    label: Image


class Entry(NamedTuple):
    """The place of a frame in the cache. ``name`` is as in ``frame_names``, ``counts`` the pixels of each label id."""

    name: str
    offset: int
    height: int
    width: int
    counts: dict[str, int]


def _digest(root: Path, pairs: Sequence[Pair], of_file: Callable[[Path], str]) -> str:
    files = sorted(path for pair in pairs for path in (pair.image, pair.label) if path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing and reading release Python's lock
        found = zip(files, pool.map(of_file, files), strict=True)
        text = "".join(f"{path.relative_to(root).as_posix()} {value}\n" for path, value in found)
    # the bytes of a name that is not UTF-8 are surrogates in its text
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def fingerprint(root: Path, pairs: Sequence[Pair]) -> str:
    """SHA-256, hexadecimal, over the paths (relative to ``root``) and contents of images and labels."""
    return _digest(root, pairs, lambda path: hashlib.sha256(path.read_bytes()).hexdigest())


def state(root: Path, pairs: Sequence[Pair]) -> str:
    """SHA-256, hexadecimal, over the paths, sizes and modification times of the files, which are not read. A cache is
    valid as long as this is the same."""
    return _digest(root, pairs, lambda path: f"{path.stat().st_size} {path.stat().st_mtime_ns}")


def sketch(root: Path, pairs: Sequence[Pair]) -> str:
    """SHA-256, hexadecimal, over the paths, sizes, beginnings and ends of the files. A file that was replaced has
    another end, and a copy of the data on another machine has the same sketch."""
    return _digest(root, pairs, _ends)


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        found = hashlib.sha256()
        for start in (0, max(0, size - END_BYTES)):
            file.seek(start)
            found.update(file.read(END_BYTES))
    return f"{size} {found.hexdigest()}"


def frame_names(pairs: Sequence[Pair]) -> list[str]:
    """The frames' names in a cache, with the city: two cities may have images with the same name."""
    return [f"{pair.image.parent.name}/{pair.image.name}" for pair in pairs]


def cache_paths(folder: Path, split: str, labels: str) -> tuple[Path, Path]:
    """The paths of the cache's pixels and of its index."""
    return folder / f"{split}.{labels}.bin", folder / f"{split}.{labels}.json"


def write_cache(
    paths: tuple[Path, Path], source: str, names: Sequence[str], frames: Iterable[Decoded], size: int
) -> None:
    """Write decoded frames, all or none. ``source`` is the ``state`` of their files, ``size`` their bytes in total.

    Raises OSError if they do not fit on the disk.
    """
    pixels, index = paths
    pixels.parent.mkdir(parents=True, exist_ok=True)
    index.unlink(missing_ok=True)  # until the new index is written there is no cache
    pixels.unlink(missing_ok=True)
    temporary = pixels.with_name(f".{pixels.name}.part")
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    free = shutil.disk_usage(pixels.parent).free
    if free < size:
        raise OSError(f"{pixels}: needs {size / 1e9:.1f} GB on the disk, {free / 1e9:.1f} GB are free")
    entries = []
    try:
        with temporary.open("wb") as file:
            for name, frame in zip(names, frames, strict=True):
                ids, counts = np.unique(frame.label, return_counts=True)
                found = dict(zip(map(str, ids.tolist()), counts.tolist(), strict=True))
                height, width = frame.label.shape
                entries.append(Entry(name, file.tell(), height, width, found))
                file.write(np.ascontiguousarray(frame.image).data)
                file.write(np.ascontiguousarray(frame.label).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, pixels)
    finally:
        temporary.unlink(missing_ok=True)
    values = {"format": FORMAT, "source": source, "bytes": pixels.stat().st_size}
    write_atomically(index, json.dumps({**values, "sha256": _digest_of(entries), "frames": entries}))


class CachedFrames:
    """Frames of a cache, by number. Each process maps the file once: only the parts that are used are read from the
    disk. A process keeps its mapping if the cache is written again meanwhile."""

    def __init__(self, pixels: Path, entries: Sequence[Entry]) -> None:
        self.pixels = pixels
        self.entries = entries
        self.counts = np.zeros((len(entries), 256), np.int64)
        for row, entry in zip(self.counts, entries, strict=True):
            row[[int(label_id) for label_id in entry.counts]] = list(entry.counts.values())
        self._mapped: Image | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A loader process maps the file itself."""
        return {**self.__dict__, "_mapped": None}

    def read(self, number: int) -> Decoded:
        """Image and label ids of a frame, read-only views of the file."""
        _, offset, height, width, _ = self.entries[number]
        if self._mapped is None:
            self._mapped = np.asarray(np.memmap(self.pixels, np.uint8, "r"))
        raw = self._mapped[offset : offset + height * width * 4]
        return Decoded(
            raw[: height * width * 3].reshape(height, width, 3), raw[height * width * 3 :].reshape(height, width)
        )


def _digest_of(entries: Any) -> str:
    """SHA-256, hexadecimal, of the index's frames; caches of earlier versions have none."""
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def open_cache(paths: tuple[Path, Path], source: str, names: Sequence[str]) -> CachedFrames | None:
    """The named frames of a cache; None if there is no cache.

    Raises ValueError if it was made from files with another ``state`` than ``source``, has another format or is not
    complete.
    """
    pixels, index = paths
    if not index.exists():
        return None
    remake = "run python -m training.prepare again"
    try:
        values = json.loads(index.read_bytes())
        version, made_from, size = values["format"], values["source"], values["bytes"]
        if values.get("sha256", digest := _digest_of(values["frames"])) != digest:
            raise ValueError("its digest is another one")
        entries = {entry[0]: Entry(*entry) for entry in values["frames"]}
        chosen = [entries[name] for name in names] if made_from == source else []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{index}: not the index of a cache; {remake}") from error
    if version != FORMAT:
        raise ValueError(f"{index}: cache format {version}, this version reads format {FORMAT}; {remake}")
    if made_from != source:
        raise ValueError(f"{index}: the cache was made from files that have changed since; {remake}")
    if not pixels.exists() or pixels.stat().st_size != size:
        raise ValueError(f"{pixels}: must be {size} bytes long, as its index says; {remake}")
    return CachedFrames(pixels, chosen)

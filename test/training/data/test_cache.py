"""The cache returns the decoded frames, and it is refused if the files have changed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.cache import (
    CachedFrames,
    Decoded,
    cache_paths,
    fingerprint,
    frame_names,
    open_cache,
    state,
    write_cache,
)
from training.data.dataset import labelled_pairs, read_pair
from training.prepare import Split, prepare_cache, verify
from unet_seg_ros.data.cityscapes import find_pairs

SIZES = ((3, 5), (64, 80), (1, 1), (37, 41))


@pytest.fixture
def frames() -> list[Decoded]:
    rng = np.random.default_rng(0)
    of = [(rng.integers(0, 256, (h, w, 3), np.uint8), rng.integers(0, 34, (h, w), np.uint8)) for h, w in SIZES]
    return [Decoded(*pair) for pair in of]


def size(frames: list[Decoded]) -> int:
    return sum(frame.image.nbytes + frame.label.nbytes for frame in frames)


def test_frames_are_read_as_they_were_written(frames: list[Decoded], tmp_path: Path) -> None:
    paths, names = cache_paths(tmp_path / "new", "train", "gtFine"), ["a", "b", "c", "d"]
    assert open_cache(paths, "1", names) is None
    write_cache(paths, "1", names, iter(frames), size(frames))
    cached = open_cache(paths, "1", names[::-1])
    assert isinstance(cached, CachedFrames)
    for number, frame in enumerate(frames[::-1]):
        found = cached.read(number)
        np.testing.assert_array_equal(found.image, frame.image)
        np.testing.assert_array_equal(found.label, frame.label)
        np.testing.assert_array_equal(cached.counts[number], np.bincount(frame.label.ravel(), minlength=256))
        with pytest.raises(ValueError, match="read-only"):
            found.image[0, 0] = 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["train.gtFine.bin", "train.gtFine.json"]


def test_a_cache_that_does_not_fit_is_refused(frames: list[Decoded], tmp_path: Path) -> None:
    paths, names = cache_paths(tmp_path, "train", "gtFine"), ["a", "b", "c", "d"]
    write_cache(paths, "1", names, frames, size(frames))
    pixels, index = paths
    again = "run python -m training.prepare again"
    with pytest.raises(ValueError, match=f"^{index}: the cache was made from files that have changed since; {again}"):
        open_cache(paths, "2", names)
    text = index.read_text()
    index.write_text(json.dumps({**json.loads(text), "format": 0}))
    with pytest.raises(ValueError, match=f"^{index}: cache format 0, this version reads format 2; {again}"):
        open_cache(paths, "1", names)
    for broken in (text[:-20], "[]", "{}"):
        index.write_text(broken)
        with pytest.raises(ValueError, match=f"^{index}: not the index of a cache; {again}"):
            open_cache(paths, "1", names)
    index.write_text(text)
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"^{pixels}: must be {size(frames)} bytes long, as its index says"):
        open_cache(paths, "1", names)


def test_a_cache_is_complete_or_absent(frames: list[Decoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, names = cache_paths(tmp_path, "train", "gtFine"), ["a", "b", "c", "d"]
    write_cache(paths, "1", names, frames, size(frames))

    def failing() -> Iterator[Decoded]:
        yield frames[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_cache(paths, "2", names, failing(), size(frames))
    assert list(tmp_path.iterdir()) == []
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    with pytest.raises(OSError, match=r"train.gtFine.bin: needs 25.0 GB on the disk, 0.0 GB are free"):
        write_cache(paths, "2", names, frames, 25 * 10**9)


def test_an_index_with_a_flipped_bit_is_refused(frames: list[Decoded], tmp_path: Path) -> None:
    """Another offset would shift every pixel of a frame; other counts would change which frames are drawn."""
    paths, names = cache_paths(tmp_path, "train", "gtFine"), [f"frame {n}" for n in range(len(frames))]
    write_cache(paths, "1", names, frames, 0)
    whole = paths[1].read_bytes()
    right = open_cache(paths, "1", names)
    assert right is not None
    believed = []
    for place, bit in itertools.product(range(0, len(whole), 7), range(8)):
        paths[1].write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        with contextlib.suppress(ValueError):
            believed.append(open_cache(paths, "1", names))
    for cached in believed:  # such as where the name of the digest's field was hit
        assert cached is not None
        assert cached.entries == right.entries
    assert len(believed) < 50


def test_the_cache_is_written_again_when_files_change(town: Path) -> None:
    def found() -> Split:
        return verify(town, "train", "gtFine")

    folder = town / "cache"
    assert prepare_cache(town, found(), "gtFine", folder)
    assert not prepare_cache(town, found(), "gtFine", folder)
    pairs = find_pairs(town, "train")
    before = fingerprint(town, pairs)
    pairs[2].image.write_bytes(pairs[3].image.read_bytes())
    assert fingerprint(town, pairs) != before
    assert prepare_cache(town, found(), "gtFine", folder)
    cached = open_cache(cache_paths(folder, "train", "gtFine"), state(town, pairs), frame_names(pairs[2:3]))
    assert cached is not None
    np.testing.assert_array_equal(cached.read(0).image, read_pair(labelled_pairs(town, "train")[3]).image)


def test_a_change_of_the_same_size_is_found(town: Path) -> None:
    pairs = find_pairs(town, "train")
    assert prepare_cache(town, verify(town, "train", "gtFine"), "gtFine", town / "cache")
    before, path = (fingerprint(town, pairs), state(town, pairs)), pairs[0].image
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # the clock may be too coarse for this fast test
    assert fingerprint(town, pairs) != before[0]
    with pytest.raises(ValueError, match="the cache was made from files that have changed since"):
        open_cache(cache_paths(town / "cache", "train", "gtFine"), state(town, pairs), frame_names(pairs))
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)  # the same contents, only later
    after = fingerprint(town, pairs)
    os.utime(path, ns=(0, 0))
    assert fingerprint(town, pairs) == after


def test_frames_of_the_same_name_in_two_cities_are_kept_apart(town: Path) -> None:
    for kind, folder in (("leftImg8bit", town / "leftImg8bit"), ("gtFine", town / "gtFine")):
        shutil.copytree(folder / "train" / "town", folder / "train" / "other")
        assert kind in folder.name
    pairs = find_pairs(town, "train")
    twins = [pair for pair in pairs if pair.name == pairs[0].name]
    assert len(twins) == 2
    pixels = np.zeros_like(read_pair(twins[1]).image)
    assert cv2.imwrite(str(twins[1].image), pixels)
    assert prepare_cache(town, verify(town, "train", "gtFine"), "gtFine", town / "cache")
    cached = open_cache(cache_paths(town / "cache", "train", "gtFine"), state(town, pairs), frame_names(pairs))
    assert cached is not None
    for number, pair in enumerate(pairs):
        np.testing.assert_array_equal(cached.read(number).image, read_pair(pair).image)


def test_files_of_a_killed_process_are_removed(frames: list[Decoded], tmp_path: Path) -> None:
    paths = cache_paths(tmp_path, "train", "gtFine")
    left = paths[0].with_name(f".{paths[0].name}.part")
    left.write_bytes(b"half")
    usage = shutil.disk_usage(tmp_path)
    with pytest.raises(OSError, match="needs"):
        write_cache(paths, "1", ["a"], frames[:1], 2 * usage.total)
    assert not left.exists()

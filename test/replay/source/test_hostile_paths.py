"""Bags at paths of any bytes, links, pipes and hidden files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag_reader import bag_files
from unet_seg_ros.replay.source.video_and_folder import open_source

FRONT = "/front/image_raw"
STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])


def test_circular_links_and_pipes_are_reported(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(loop)
    os.mkfifo(tmp_path / "pipe.mcap")
    os.mkfifo(tmp_path / "pipe.db3")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("pipe.mcap", "pipe.db3", "pipe.mp4"):
        with pytest.raises(SourceError, match="not a regular file"):
            open_source(tmp_path / name)


def test_hidden_files_are_not_read_as_parts_of_a_bag(tmp_path: Path) -> None:
    bag = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, StoragePlugin.MCAP)
    (bag / "._bag.mcap").write_bytes(b"\0\5\x16\7")
    (bag / ".hidden.mcap").mkdir()
    (bag / "folder.mcap").mkdir()
    assert [file.name for file in bag_files(bag)] == ["bag.mcap"]


@STORAGES
def test_a_path_may_have_any_bytes(storage: StoragePlugin, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 #1?mode=rw%41")
    bag = drives.write_bag(tmp_path / "bag", {FRONT: [drives.raw(0)]}, storage)
    bag.rename(odd)
    assert drives.stamps(odd) == ([0], "")


def test_a_line_break_in_a_name_hides_no_reason(tmp_path: Path) -> None:
    """Of a problem only the first line is kept."""
    for name in ("a\nb.png", "\x1b[31mc.png"):
        (tmp_path / name).write_bytes(b"\x89PNG")
    for frame in open_source(tmp_path).frames():
        assert frame.problem.isprintable()
        assert frame.problem.endswith("PNG of 4 bytes has no header") or "neither a JPEG nor a PNG" in frame.problem

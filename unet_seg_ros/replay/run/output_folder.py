"""The output folder of a replay. The files of an earlier replay are removed from it, no others."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.record.recorder import UNFINISHED
from unet_seg_ros.replay.result import FILES
from unet_seg_ros.replay.source.bag import is_bag
from unet_seg_ros.replay.source.bag_reader import bag_files


def clear(output: Path, needed: Sequence[Path]) -> None:
    """Make the folder and remove the files of an earlier replay from it.

    Raises OSError, and ReplayError if one of the files or bags that are ``needed`` would be removed.
    """
    output.mkdir(parents=True, exist_ok=True)
    old = [path for path in (*(output / name for name in FILES), *output.glob("overlay*.webm")) if path.exists()]
    kept = {path.resolve() for path in needed}
    kept |= {file.resolve() for path in needed if path.is_dir() and is_bag(path) for file in bag_files(path)}
    for file in old:
        if file.resolve() in kept:
            raise ReplayError(f"{file}: this replay needs this file and would replace it; give another --output")
    for file in old:
        file.unlink()
    for folder in output.glob(f"{UNFINISHED}*"):
        shutil.rmtree(folder)

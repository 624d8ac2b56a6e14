"""The copy of a run's configuration in its folder, ``config.yaml``, and what differs between two configurations."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from training.config import TrainConfig
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.files import read_bytes, write_atomically
from unet_seg_ros.text import listed

COPY = "config.yaml"
DIGEST = ".config.sha256"
"""SHA-256 of the copy as it was written, so that a change by hand is found."""
MAX_BYTES = 2**20


def plain(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON holds it: tuples become lists."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """The names of the fields that differ between two plain configurations, sorted, such as ``data.0.root``."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = ({str(index): item for index, item in enumerate(items)} for items in (one, other))
        found = [path for key in one for path in differences(one[key], other[key], f"{name}.{key}")]
        return found if any(isinstance(item, dict) for item in one.values()) else [name] if found else []
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other}, key=str)
        return [p for k in keys for p in differences(one.get(k), other.get(k), f"{name}.{k}" if name else str(k))]
    return [] if one == other else [name]


def write_copy(folder: Path, config: TrainConfig) -> None:
    """Write the copy. Raises OSError."""
    text = yaml.safe_dump(plain(config), sort_keys=False)
    (folder / DIGEST).unlink(missing_ok=True)  # a process that is killed in between leaves no wrong one
    write_atomically(folder / COPY, text)
    write_atomically(folder / DIGEST, hashlib.sha256(text.encode()).hexdigest() + "\n")


def check_copy(folder: Path, config: TrainConfig) -> None:
    """Raises ValueError if the copy was changed by hand and says something else than ``config``: such a change would
    be lost without a word. OSError or ValueError if it cannot be read."""
    copy, digest = folder / COPY, folder / DIGEST
    if not copy.is_file() or not digest.is_file():
        return
    if hashlib.sha256(read_bytes(copy, MAX_BYTES)).hexdigest() == read_bytes(digest, MAX_BYTES).decode().strip():
        return
    if changed := differences(read_yaml(copy), plain(config)):
        raise ValueError(
            f"{copy}: it was changed by hand and differs from this command in {listed(changed)}. It is only a copy: "
            f"put the change into your own file or after the command (FIELD=VALUE), and remove {copy}"
        )

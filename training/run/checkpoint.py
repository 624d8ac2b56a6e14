"""Writes and reads checkpoints: the state of a run in one safetensors file. Everything that is no tensor is JSON in the
metadata. Nothing is unpickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from unet_seg_ros.model.bundle import BundleError, read_tensors, write_tensors

BEST = "best.safetensors"
"""The checkpoint of the highest validation mIoU, in the run's folder."""


def path_of(folder: Path, step: int) -> Path:
    """The path of the checkpoint of a step."""
    return folder / f"checkpoint-{step:08}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*.safetensors") if re.search(r"-\d{8,}\.", path.name))


def clear_unfinished(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote a checkpoint."""
    for path in folder.glob(".*.safetensors.part"):
        path.unlink()


def best_or_last(run: Path) -> Path:
    """The checkpoint to export: the best one if the run was validated, else the last one.

    ``run`` may also be a checkpoint itself. Raises BundleError if there is none.
    """
    if run.is_file():
        return run
    found = [path for path in (run / BEST, *reversed(checkpoints(run))) if path.is_file()]
    if not found:
        raise BundleError(f"{run}: no checkpoint of a training run")
    return found[0]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A checkpoint's tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write_checkpoint(
    path: Path,
    weights: Mapping[str, Mapping[str, Tensor]],
    optimizer: Optimizer,
    values: Mapping[str, Any],
) -> None:
    """Write everything that is needed to resume a run: sets of weights by name, the optimiser's state, and ``values``,
    which must be plain JSON. Raises OSError; an older file of this name is then unchanged."""
    tensors = {f"{kind}.{name}": tensor for kind, part in weights.items() for name, tensor in part.items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in entry.items()}
    write_tensors(path, tensors, {name: json.dumps(value, sort_keys=True) for name, value in values.items()})


def load_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the optimiser's state from a checkpoint's ``tensors``."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in part(tensors, "optimizer.").items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state (``step``, ``config``, …). Raises BundleError if the file is broken or no checkpoint."""
    tensors, metadata = read_tensors(path)
    if not {"config", "step"} <= metadata.keys():
        raise BundleError(f"{path}: not the checkpoint of a training run")
    try:
        return tensors, {name: json.loads(text) for name, text in metadata.items()}
    except json.JSONDecodeError as error:
        raise BundleError(f"{path}: its metadata is not JSON: {error}") from error

"""A run's state as one safetensors file: tensors flattened, all else as JSON in its metadata. Nothing is unpickled."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unet_seg_ros.model.bundle import BundleError, read_tensors

BEST = "best.safetensors"
"""The checkpoint of the highest validation mIoU, in the run's folder."""


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"checkpoint-{step:08}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*.safetensors") if re.search(r"-\d{8,}\.", path.name))


def clear_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while it wrote a checkpoint has left."""
    for path in folder.glob(".*.safetensors.part"):
        path.unlink()


def best_or_last(run: Path) -> Path:
    """The checkpoint that a run is judged by: the best where it was validated, else the last.

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


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state (``step``, ``config``, …). Raises BundleError for a file that is broken or something else."""
    tensors, metadata = read_tensors(path)
    if not {"config", "step"} <= metadata.keys():
        raise BundleError(f"{path}: not the checkpoint of a training run")
    try:
        return tensors, {name: json.loads(text) for name, text in metadata.items()}
    except json.JSONDecodeError as error:
        raise BundleError(f"{path}: its metadata is not JSON: {error}") from error


def _plain(value: Any) -> Any:
    """NumPy's state with arrays as lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def seed_all(seed: int) -> None:
    """Set Python's, NumPy's and PyTorch's generators going from ``seed``."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's generators, as integers."""
    return {
        "python": random.getstate(),
        "numpy": _plain(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put back what ``random_states`` gave, before or after a way through JSON."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    inner = states["numpy"]["state"]
    numpy_state = {**states["numpy"], "state": {**inner, "key": np.array(inner["key"], np.uint32)}}
    np.random.set_state(numpy_state)  # noqa: NPY002
    torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))

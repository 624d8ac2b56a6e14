"""Writes and reads checkpoints: the state of a run in one safetensors file. Everything else is JSON in the
metadata. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unet_seg_ros.data.yaml_file import parse_json
from unet_seg_ros.model.bundle import BundleError, digest, negative_variance, not_finite, read_tensors, write_tensors
from unet_seg_ros.text import VALUE, one_line, quoted

FORMAT = 2
"""Format 1 had no digest."""
DIGEST = "sha256"
MAX_VALUE = 2**24
"""Largest size of one value in bytes; the generators' states need 100,000."""
DTYPES = (torch.float32, torch.int64)
"""Those of weights and the optimiser's state, and of the counters of normalisations."""
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


def to_export(run: Path) -> list[Path]:
    """The checkpoints to export, the first that is not damaged of them: the best one if the run was validated, then
    the last ones.

    ``run`` may also be a checkpoint itself. Raises BundleError if there is none.
    """
    if run.is_file():
        return [run]
    found = [path for path in (run / BEST, *reversed(checkpoints(run))) if path.is_file()]
    if not found:
        raise BundleError(f"{run}: no checkpoint of a training run")
    return found


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A checkpoint's tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class DamagedCheckpoint(BundleError):
    """The file of a checkpoint is damaged, so the run must resume from the checkpoint before it."""


def write_checkpoint(
    path: Path, weights: Mapping[str, Mapping[str, Tensor]], optimizer: Optimizer, values: Mapping[str, Any]
) -> None:
    """Write everything that a run needs to resume: sets of weights by name, the optimiser's state, plain JSON
    ``values``, and a digest of them. Raises OSError; an old file of that name is then unchanged."""
    tensors = {f"{kind}.{name}": tensor for kind, part in weights.items() for name, tensor in part.items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in entry.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {name: json.dumps(value, sort_keys=True) for name, value in values.items()}
    metadata["format"] = json.dumps(FORMAT)
    write_tensors(path, tensors, {**metadata, DIGEST: json.dumps(_digest(tensors, metadata))})


def _digest(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> str:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return digest(json.dumps({**metadata, DIGEST: ""}, sort_keys=True), arrays)


def load_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the optimiser's state from a checkpoint's ``tensors``."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in part(tensors, "optimizer.").items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state (``step``, ``config``, …) of a checkpoint. The digest is checked; format 1 has none.

    Raises DamagedCheckpoint for a damaged file, BundleError for a file of another kind.
    """
    try:
        tensors, metadata = read_tensors(path)
    except BundleError as error:
        raise DamagedCheckpoint(str(error)) from error
    if not {"config", "step"} <= metadata.keys():
        raise BundleError(f"{path}: not the checkpoint of a training run")
    if strange := next((name for name, tensor in tensors.items() if tensor.dtype not in DTYPES), None):
        raise DamagedCheckpoint(f"{path}: {one_line(strange, VALUE)} is {tensors[strange].dtype}, as no run writes it")
    try:
        values = {name: parse_json(text, MAX_VALUE) for name, text in metadata.items()}
    except ValueError as error:
        raise DamagedCheckpoint(f"{path}: its metadata is {error}") from error
    has_digest = DIGEST in values or "format" in values
    if has_digest and values.pop(DIGEST, "") != _digest(tensors, metadata):
        raise DamagedCheckpoint(f"{path}: its contents do not match its SHA-256")
    if (version := values.pop("format", FORMAT)) != FORMAT:
        raise BundleError(f"{path}: checkpoint format {quoted(version)}, this version reads format {FORMAT}")
    if strange := not_finite({name: tensor.numpy() for name, tensor in tensors.items()}):
        raise DamagedCheckpoint(f"{path}: {one_line(strange, VALUE)} holds NaN or infinity")
    return tensors, values


def check_tensors(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str) -> None:
    """Raises DamagedCheckpoint unless both have the same tensors, of the same shapes and dtypes, and no variance is
    negative. Their names in the file begin with ``prefix``."""
    shapes = [{name: (tensor.shape, tensor.dtype) for name, tensor in each.items()} for each in (found, expected)]
    wrong = sorted(name for name in {*found, *expected} if shapes[0].get(name) != shapes[1].get(name))
    if wrong:
        first = one_line(f"{prefix}{wrong[0]}", VALUE)
        raise DamagedCheckpoint(
            f"{path}: {len(wrong)} tensors are missing, unexpected or of another shape or type, the first is {first}"
        )
    if name := negative_variance({name: tensor.numpy() for name, tensor in found.items()}):
        raise DamagedCheckpoint(f"{path}: {one_line(f'{prefix}{name}', VALUE)} must not be negative")


def check_optimizer(path: Path, tensors: Mapping[str, Tensor], step: int, optimizer: Optimizer) -> None:
    """Raises DamagedCheckpoint unless there is a state of AdamW for every parameter (from ``step`` 1 on), with the
    parameter's shape and dtype, no negative second moment, and as many steps as the run has done."""
    expected: dict[str, Tensor] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters if step else ()):
        expected |= {f"{index}.{name}": parameter for name in ("exp_avg", "exp_avg_sq")}
        # AdamW counts in float32, which is exact up to 2^24
        expected[f"{index}.step"] = torch.tensor(float(min(step, 2**24)), dtype=torch.float32)
    check_tensors(path, tensors, expected, "optimizer.")
    for name, tensor in tensors.items():
        where = f"{path}: the optimiser's state is wrong: optimizer.{one_line(name, VALUE)}"
        if name.endswith(".step") and float(tensor) != float(expected[name]):
            raise DamagedCheckpoint(f"{where} is {float(tensor):g}, but the run has done {step} steps")
        if name.endswith(".exp_avg_sq") and bool((tensor < 0).any()):
            raise DamagedCheckpoint(f"{where} must not be negative")


def check_values(path: Path, values: Mapping[str, Any]) -> None:
    """Raises DamagedCheckpoint unless every value has the type and range that a run gives it."""
    for name, default in (("config", None), ("random", None), ("data", {})):  # format 1 may have no data
        if not isinstance(values.get(name, default), dict):
            raise DamagedCheckpoint(f"{path}: {name} must be an object")
    if not isinstance(values["config"].get("validation", {}) or {}, dict):
        raise DamagedCheckpoint(f"{path}: validation must be an object")
    step, best, steps = values.get("step"), values.get("best"), values["config"].get("steps")
    if type(steps) is not int or type(step) is not int or not 0 <= step <= steps:
        raise DamagedCheckpoint(f"{path}: step must be a whole number from 0 to {steps}, not {quoted(step)}")
    if (named := re.search(r"^checkpoint-(\d+)\.", path.name)) and int(named[1]) != step:
        raise DamagedCheckpoint(f"{path}: it holds step {step}, so it was renamed or copied")
    if type(best) is not float or math.isnan(best) or best > 1:
        raise DamagedCheckpoint(f"{path}: best must be a number up to 1, not {quoted(best)}")

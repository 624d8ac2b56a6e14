"""Which checkpoint is used, and files that are not checkpoints are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.run.checkpoint import BEST, checkpoints, path_of, read_checkpoint, to_export
from unet_seg_ros.model.bundle import BundleError, write_tensors


def test_the_last_checkpoint_has_the_highest_step(tmp_path: Path) -> None:
    for step in (900, 1000, 123456789):
        path_of(tmp_path, step).touch()
    (tmp_path / "checkpoint-old.safetensors").touch()
    assert checkpoints(tmp_path) == [path_of(tmp_path, step) for step in (900, 1000, 123456789)]
    newest_first = [path_of(tmp_path, step) for step in (123456789, 1000, 900)]
    assert to_export(tmp_path) == newest_first
    (tmp_path / BEST).touch()
    assert to_export(tmp_path) == [tmp_path / BEST, *newest_first]
    assert to_export(path_of(tmp_path, 900)) == [path_of(tmp_path, 900)]


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"^{tmp_path}: no checkpoint of a training run"):
        to_export(tmp_path)
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.zeros(2)}, {"config": "{}"})
    with pytest.raises(BundleError, match=f"^{path}: not the checkpoint of a training run"):
        read_checkpoint(path)
    write_tensors(path, {"a": torch.zeros(2)}, {"config": "{", "step": "1"})
    with pytest.raises(BundleError, match=f"^{path}: its metadata is not JSON"):
        read_checkpoint(path)
    write_tensors(path, {"a": torch.ones(2)}, {"config": "{}", "step": "1"})
    tensors, values = read_checkpoint(path)
    assert values == {"config": {}, "step": 1}
    assert torch.equal(tensors["a"], torch.ones(2))

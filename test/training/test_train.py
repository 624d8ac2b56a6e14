"""The loop: it learns, logs, validates, alone and as two processes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from training import train as module
from training.checkpoint import BEST, checkpoints, path_of, read_checkpoint
from training.config import TrainConfig, ValidationConfig
from training.train import run
from training.trainer import Trainer
from unet_seg_ros.model.bundle import read_tensors

MakeRun = Callable[..., TrainConfig]
ROOT = Path(__file__).parents[2]


def trained(config: TrainConfig, folder: Path) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(config, folder, torch.device("cpu"))
    run(trainer, workers=0)
    return trainer


def test_it_learns_and_leaves_its_log(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    validation = ValidationConfig(str(town), "train", every=30)
    config = tiny_run(steps=70, batch=4, learning_rate=0.01, ema_decay=0.9, save_every=30, validation=validation)
    folder = tmp_path / "run"
    trainer = trained(config, folder)
    rows = pd.read_csv(folder / "metrics.csv")
    assert list(rows["step"]) == [20, 30, 40, 60, 70]
    losses = rows.set_index("step")["train/loss"]
    assert losses[70] < 0.7 * losses[20]
    measured = rows.dropna(subset=["val/miou"]).set_index("step")
    assert list(measured.index) == [30, 60, 70]
    assert measured["val/miou"].max() == pytest.approx(trainer.best)
    assert trainer.best > 0.3
    occurring = measured.filter(like="val/iou/").dropna(axis=1)
    np.testing.assert_allclose(occurring.mean(axis=1), measured["val/miou"])
    assert checkpoints(folder) == [path_of(folder, 60), path_of(folder, 70)]
    assert read_checkpoint(folder / BEST)[1]["best"] == trainer.best
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((folder / "tensorboard").glob("events*"))


def arguments(config: TrainConfig, folder: Path) -> list[str]:
    path = folder.parent / "run.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(config)))))
    return [sys.executable, "-m", "training.train", str(path), str(folder), "--workers", "1"]


def test_two_processes_train_as_torchrun_starts_them(tiny_run: MakeRun, tmp_path: Path) -> None:
    config = tiny_run(model="nano", crop=(32, 64), steps=2, batch=4)
    command = arguments(config, tmp_path / "two")
    command[1:2] = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    tensors, _ = read_tensors(path_of(tmp_path / "two", 2))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())


def test_the_command_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.yaml").write_text("model: nano\ndata: []\n")
    for name, message in (("run.yaml", "crop, max_pixels, steps missing"), ("none.yaml", "No such file")):
        monkeypatch.setattr("sys.argv", ["train", str(tmp_path / name), str(tmp_path / "run")])
        with pytest.raises(SystemExit, match=message):
            module.main()

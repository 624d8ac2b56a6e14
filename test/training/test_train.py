"""The training loop learns, logs and validates, in one process and in two."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from training import train as module
from training.config import TrainConfig, ValidationConfig
from training.run.checkpoint import BEST, checkpoints, path_of, read_checkpoint
from training.run.trainer import NotFinite, Trainer
from training.train import run
from unet_seg_ros.model.bundle import read_tensors, write_tensors
from unet_seg_ros.model.unet import CONFIGS, UNetConfig

MakeRun = Callable[..., TrainConfig]
ROOT = Path(__file__).parents[2]


def trained(config: TrainConfig, folder: Path) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(config, folder, torch.device("cpu"))
    run(trainer, workers=0)
    return trainer


def test_a_run_learns_and_writes_its_log(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
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


def test_processes_that_find_different_checkpoints_stop(tiny_run: MakeRun, tmp_path: Path) -> None:
    """Like two machines that do not share the run's folder."""
    config = tiny_run(model="nano", crop=(32, 64), steps=4, batch=4, save_every=2)
    first = tmp_path / "first"
    trained(dataclasses.replace(config, steps=2), first)
    path = path_of(first, 2)
    tensors, metadata = read_checkpoint(path)
    metadata["config"]["steps"] = 4
    write_tensors(path, tensors, {name: json.dumps(value) for name, value in metadata.items()})
    command = arguments(config, first)
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = []
    for rank in range(2):
        command[4] = str(first if rank == 0 else tmp_path / "second")
        environment = {
            **os.environ,
            **rendezvous,
            "RANK": str(rank),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
        }
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "the processes find different checkpoints; all must use the same folder" in errors
    assert checkpoints(first) == [path]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_run_with_another_validation_continues_its_log(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Trainer.save(trained(tiny_run(steps=3), folder))
    old = checkpoints(folder)[-1]
    tensors, values = read_checkpoint(old)
    values["config"]["steps"] = 6
    write_tensors(old, tensors, {name: json.dumps(value) for name, value in values.items()})
    trainer = Trainer(tiny_run(validation=ValidationConfig(str(town), "train", every=3)), folder, torch.device("cpu"))
    trainer.resume(old)
    run(trainer, workers=0)
    rows = pd.read_csv(folder / "metrics.csv")
    assert list(rows["step"]) == [3, 6]
    assert list(rows["val/miou"].notna()) == [False, True]


def test_an_incomplete_log_does_not_stop_a_run(tiny_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").touch()
    (tmp_path / "run" / ".checkpoint-00000001.safetensors.part").touch()
    trained(tiny_run(), tmp_path / "run")
    assert list(pd.read_csv(tmp_path / "run" / "metrics.csv")["step"]) == [6]


def test_an_error_gives_one_line_and_a_complete_log(
    tiny_run: MakeRun, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*fields: str, says: str) -> None:
        monkeypatch.setattr("sys.argv", [*arguments(tiny_run(), tmp_path / "run")[2:], *fields])
        with pytest.raises(SystemExit) as caught:
            module.main()
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    ends("validation={root: /nowhere}", says="/nowhere/leftImg8bit/val: no images named")
    there = f"{{root: {town}, split: train, class_map: %s}}"
    ends(f"validation={there % 'none'}", says="no class map is called 'none'")
    void = tmp_path / "void.yaml"
    void.write_text("99: [road]")
    ends(f"validation={there % void}", says="the labels hold the ids 0, 7, 23, 26; none is in the class map")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(Trainer, "train_step", failing(OSError(errno.ENOSPC, "No space left on device")))
    ends(says=f"the checkpoints in {tmp_path / 'run'} are complete; free some disk space")
    monkeypatch.setattr(Trainer, "train_step", failing(NotFinite("step 0: loss nan; the batch is in a file")))
    ends(says="step 0: loss nan; the batch is in a file")
    assert (tmp_path / "run" / "metrics.csv").read_text().startswith("step,")
    monkeypatch.undo()
    label = next((town / "gtFine").rglob("*_000003_*.png"))
    monkeypatch.setitem(CONFIGS, "tiny", UNetConfig(widths=(8, 8), depths=(1, 1)))
    assert cv2.imwrite(str(label), np.full((10, 10), 7, np.uint8))
    ends(
        "steps=40",
        f"validation={there % 'cityscapes'}",
        says=f"{label}: (10, 10) pixels (height, width), but its image has (64, 80)",
    )


def test_a_folder_in_use_or_with_a_strange_name_is_refused(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr("sys.argv", arguments(tiny_run(), folder)[2:])
    script = (
        f"from pathlib import Path; from unet_seg_ros.files import locked\nwith locked(Path({str(folder)!r}, '.lock')):"
    )
    holder = [sys.executable, "-c", f"{script} print('held', flush=True); input()"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(SystemExit, match=r"run/\.lock: another process uses this folder"):
            module.main()
        process.kill()
    strange = tmp_path / os.fsdecode(b"run\xff")
    monkeypatch.setattr("sys.argv", arguments(tiny_run(), strange)[2:])
    with pytest.raises(SystemExit, match="TensorBoard cannot write into a folder whose path is not UTF-8"):
        module.main()
    assert not strange.exists()


def test_a_copy_of_the_configuration_that_was_edited_is_not_overwritten(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [*arguments(tiny_run(), tmp_path / "run")[2:-1], "0"])
    module.main()
    copy = tmp_path / "run" / "config.yaml"
    copy.write_text(copy.read_text().replace("learning_rate: 0.0015", "learning_rate: 0.1"))
    with pytest.raises(
        SystemExit, match=r"config\.yaml: it was changed by hand .* in learning_rate\. It is only a copy"
    ):
        module.main()
    assert "learning_rate: 0.1" in copy.read_text()


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_a_wrong_command_gives_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.yaml").write_text("model: nano\ndata: []\n")
    monkeypatch.setattr("sys.argv", ["train", str(tmp_path / "run.yaml"), str(tmp_path / "run"), "--workers", "1000"])
    with pytest.raises(SystemExit, match="--workers must be 0 to 64, not 1000"):
        module.main()
    for name, message in (("run.yaml", "crop, max_pixels, steps missing"), ("none.yaml", "No such file")):
        monkeypatch.setattr("sys.argv", ["train", str(tmp_path / name), str(tmp_path / "run")])
        with pytest.raises(SystemExit, match=message):
            module.main()

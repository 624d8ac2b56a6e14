"""From an empty folder to a mask with the commands of the README, with an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from training.config import load
from training.data.dataset import labelled_pairs, read_pair
from training.run.checkpoint import checkpoints, path_of, read_checkpoint
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.segmenter import Segmenter

ROOT = Path(__file__).parents[2]
STEPS = 60
RUN = {
    "model": "nano",
    "crop": [32, 64],
    "max_pixels": 96 * 64,
    "steps": STEPS,
    "batch": 4,
    "warmup": 5,
    "learning_rate": 0.004,
    "ema_decay": 0.9,
    "save_every": 4,
    "keep": 1,
}


def start(*command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def command(*command: str) -> str:
    process = start(*command)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a town, its cache, a run that was killed and resumed, and the same run never interrupted."""
    folder = tmp_path_factory.mktemp("chain")
    town = str(folder / "town")
    size = ("--width", "96", "--height", "64", "--fps", "1", "--seconds", "4")
    command("training.synthetic", town, "--drives", "3", *size)
    command("training.synthetic", town, "--split", "val", "--seed", "100", *size)
    assert "train: cache written" in command("training.prepare", town)
    data = {"name": "town", "root": town, "split": "train", "class_map": "cityscapes", "terms": "free"}
    validation = {"root": town, "every": STEPS // 2}
    (folder / "run.yaml").write_text(yaml.safe_dump({**RUN, "data": [data], "validation": validation}))
    train = ("training.train", str(folder / "run.yaml"))
    command(*train, str(folder / "whole"))
    with start(*train, str(folder / "killed")) as process:
        end = time.monotonic() + 120
        while not checkpoints(folder / "killed"):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
    assert not path_of(folder / "killed", STEPS).exists()
    command(*train, str(folder / "killed"))
    return folder


def test_a_killed_and_resumed_run_gives_the_same_bits(runs: Path) -> None:
    (whole, values), (killed, others) = (read_checkpoint(path_of(runs / name, STEPS)) for name in ("whole", "killed"))
    assert values == others
    assert values["step"] == STEPS
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    tables = [
        pd.read_csv(runs / name / "metrics.csv").drop(columns="train/images_per_second") for name in ("whole", "killed")
    ]
    assert list(tables[0]["step"]) == [20, 30, 40, 60]
    np.testing.assert_array_equal(tables[0]["val/miou"], tables[1]["val/miou"])
    assert load(runs / "whole" / "config.yaml") == load(runs / "run.yaml")


def test_the_trained_network_is_evaluated_and_segments(runs: Path) -> None:
    bundle, town = runs / "tiny.safetensors", runs / "town"
    assert "tiny-" in command("training.export", str(runs / "killed"), str(bundle), "--name", "tiny")
    command("training.evaluate", str(bundle), str(town), "val", "--output", str(runs / "report"))
    report = json.loads((runs / "report" / "report.json").read_text())
    best = pd.read_csv(runs / "killed" / "metrics.csv")["val/miou"].max()
    assert report["miou"] == pytest.approx(best, rel=1e-3)  # the folded network has other rounding errors
    segmenter = Segmenter.load(bundle)
    image, _ = read_pair(labelled_pairs(town, "val")[0])
    seen = segmenter([image])[0]
    assert (seen.mask.shape, seen.class_names) == ((64, 96), CLASS_NAMES)
    assert seen.coverage().regions[0].valid_pixels == 64 * 96

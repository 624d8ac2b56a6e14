"""The node's benchmark on a tiny network: a real node in a process of its own, and frames over DDS."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.node.search import HIGHEST, LOWEST, NEAR, highest_rate
from benchmarks.segmenter import frame_size
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.vocabulary import STAGES


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_the_search_finds_the_highest_rate_below_the_limit(limit: float, first: float) -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    found = highest_rate(holds, first)
    if limit < LOWEST:
        assert found == 0
    else:
        assert found <= limit
        assert found == HIGHEST or limit < found * NEAR
    assert all(LOWEST <= rate <= HIGHEST for rate in tried)
    assert len(tried) == len(set(tried)) < 40


@pytest.mark.parametrize(("transport", "cameras"), [("raw", 1), ("compressed", 2)])
def test_a_real_node_gives_a_row(transport: str, cameras: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = UNet(UNetConfig(widths=(8, 8), depths=(1, 1)))
    save_bundle(tmp_path / "tiny.safetensors", model, Manifest("tiny", model.config, 4096, data_terms="for a test"))
    arguments = ["--sizes", "96x64", "--cameras", str(cameras), "--transports", transport]
    times = ["--rate", "20", "--seconds", "0.5", "--search-seconds", "0"]
    kept = tmp_path / "machine.json"
    command = [sys.executable, "-m", "benchmarks.node", str(tmp_path / "tiny.safetensors"), *arguments, *times]
    done = subprocess.run([*command, "--json", str(kept)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(kept.read_text())["node"]["rows"]
    assert (row["width"], row["height"], row["cameras"], row["transport"]) == (96, 64, cameras, transport)
    assert 0 < row["p50"] <= row["p95"] <= row["p99"] <= row["max"]
    assert 0 <= row["dropped"] < 1
    assert row["bare"] > 0
    assert row["start_s"] > 0.1
    assert row["memory_after_mb"] > 50
    assert set(row["stages"]) == set(STAGES)
    assert f"| 96x64 | {cameras} | {transport} |" in done.stdout


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.node", str(tmp_path / "none.safetensors"), "--sizes", "96x64"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "none.safetensors" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", ["640", "640x", "16x480", "axb", "640x480x3", "-640x480"])
def test_a_wrong_size_is_refused(size: str) -> None:
    with pytest.raises(ArgumentTypeError, match="WIDTHxHEIGHT"):
        frame_size(size)
    assert frame_size("32x480") == "32x480"

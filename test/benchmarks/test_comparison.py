"""Compares engines: an engine with correct masks has figures, and a row says why another one has none."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import engine_process as module
from benchmarks.comparison import Comparison
from benchmarks.engine_process import CannotRun, EngineProcess, Pace, agreement, measured, percentiles
from benchmarks.engines import ENGINES, PLAIN, REFERENCE, made
from test.model.test_fold import trained
from unet_seg_ros.model.bundle import Manifest, load_bundle, save_bundle
from unet_seg_ros.model.config import UNetConfig
from unet_seg_ros.segmenter import Segmentation, Timings


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    model = trained(UNetConfig(widths=(8, 16), depths=(1, 1))).float()
    torch.nn.init.normal_(model.head.weight, std=3.0)  # so that several classes win somewhere
    save_bundle(tmp_path / "x.safetensors", model, Manifest("x", model.config, 4096))
    return tmp_path / "x.safetensors"


def noise(*size: int) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return np.ascontiguousarray(np.kron(small, np.ones((8, 8, 1), np.uint8))[: size[0], : size[1]])


@pytest.mark.parametrize("name", [*(name for name in ENGINES if name.endswith("fp32") and "comp" not in name), PLAIN])
def test_every_engine_gives_the_masks_of_the_reference(name: str, bundle: Path) -> None:
    """torch.compile is left out: it takes half a minute to compile. ``plain`` runs in bf16 where that is native."""
    read = load_bundle(bundle)
    frames = [noise(60, 90), noise(31, 57)]
    expected = [seen.mask for seen in made(REFERENCE, read)(frames)]
    masks = [seen.mask for seen in made(name, read)(frames)]
    assert len(np.unique(expected[0])) > 1
    assert agreement(masks, expected) > (0.9 if name == PLAIN else 0.9999)


def test_an_engine_that_cannot_run_gets_a_row_with_the_reason(bundle: Path) -> None:
    with closing(Comparison(bundle, ["openvino int8", "openvino fp32"])) as found:
        found.begin([noise(40, 50)], {"frame": "50x40"})
        found.measure([noise(40, 50)], Pace(0.0, 0.05), {"frame": "50x40"})
    refused, row = found.rows
    assert refused["engine"] == "openvino int8"
    assert "ValueError: precision int8: x-" in refused["problem"]
    assert row["engine"] == "openvino fp32"
    assert row["agreement"] == 1.0
    assert 0 < row["p50"] <= row["p95"] <= row["p99"] <= row["max"]
    assert row["frames"] >= 1
    assert row["forward"] > 0


def test_an_engine_whose_process_ends_gets_a_row_with_the_reason(tmp_path: Path) -> None:
    engine = EngineProcess("openvino fp32", tmp_path / "none.safetensors")
    with pytest.raises(CannotRun, match=r"none\.safetensors: no such file"):
        engine.masks([noise(32, 32)])
    next(iter(engine._process._processes.values())).kill()
    with pytest.raises(CannotRun, match="the process of the engine ended unexpectedly"):
        engine.masks([noise(32, 32)])
    engine.close()


class Slow:
    """Each call takes 25 ms by a clock that the test controls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.began: list[float] = []

    def __call__(self, frames: list[np.ndarray]) -> list[Segmentation]:
        self.began.append(self.now)
        self.now += 0.025
        mask = np.zeros(frames[0].shape[:2], np.uint8)
        return [Segmentation(mask, mask, (), Timings(0.001, 0.02, 0.004)) for _ in frames]

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "most"), [(0.0, 25.0), (10.0, 25.0), (50.0, 45.0)])
def test_latency_begins_when_the_frame_is_available(rate: float, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 50 Hz a frame comes every 20 ms, so the newest frame has waited up to 20 ms when the network is free."""
    slow = Slow()
    monkeypatch.setattr(module.time, "perf_counter", lambda: slow.now)
    monkeypatch.setattr(module.time, "sleep", slow.sleep)
    found = measured(slow, [noise(8, 8)], Pace(rate, 2.0, together=2))
    assert found["max"] == pytest.approx(most)
    assert (found["preprocess"], found["forward"], found["postprocess"]) == pytest.approx((1, 20, 4))
    assert found["frames"] == 2 * len(slow.began[module.WARM :])


def test_figures_without_measurements_are_nan() -> None:
    assert all(np.isnan(value) for value in percentiles([]).values())
    assert percentiles([1.0, 3.0, 2.0])["p50"] == 2.0


def test_agreement_counts_pixels() -> None:
    ones = np.ones((2, 2), np.uint8)
    assert agreement([ones, ones], [ones, np.array([[1, 0], [0, 0]], np.uint8)]) == pytest.approx((1 + 0.25) / 2)

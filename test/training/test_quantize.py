"""int8 for a bundle: calibrated on frames, checked against fp32, and stored only if it passes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from test.model.test_fold import trained
from training import quantize
from training.data.sampling import evenly
from training.exporting import int8
from training.exporting.int8 import Check, refuse_unless_passed
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.model.bundle import BundleError, Manifest, load_bundle, save_bundle, write_bundle
from unet_seg_ros.model.config import UNetConfig
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A network that predicts classes by brightness, so clearly that rounding changes few pixels."""
    torch.manual_seed(0)
    model = trained(UNetConfig(widths=(16, 32), depths=(1, 1))).float()
    torch.nn.init.normal_(model.head.weight, std=3.0)
    path = tmp_path / "x.safetensors"
    save_bundle(path, model, Manifest("x", model.config, 64 * 80))
    return path


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["quantize", *map(str, arguments)])
    quantize.main()


def splits(town: Path) -> list[object]:
    return ["--calibrate", town, "train", "--frames", 3, "--check", town, "train", "cityscapes19", "cityscapes"]


def test_int8_that_passes_is_stored_with_its_ranges_and_checks(
    bundle: Path, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(int8, "AGREEMENT", 0.9)  # a random network has a lower confidence than a trained one
    monkeypatch.setattr(int8, "LOSS", 0.05)
    output = tmp_path / "out.safetensors"
    command(monkeypatch, bundle, output, *splits(town))
    made = load_bundle(output)
    assert "6 frames: masks agree on" in capsys.readouterr().out
    notes = made.manifest.int8_checks
    assert list(notes["calibrated_on"]) == [pair.name for pair in evenly(find_pairs(town, "train"), 3)]
    (check,) = notes["checks"]
    assert check["frames"] == 6
    frames = [read_image(pair.image) for pair in find_pairs(town, "train")]
    rounded, exact = (Segmenter.load(output, "cpu", precision=precision) for precision in ("auto", "fp32"))
    assert rounded.engine.precision == "int8"
    agree = np.mean([(rounded([frame])[0].mask == exact([frame])[0].mask).mean() for frame in frames])
    assert agree == pytest.approx(check["agreement"])
    assert 0.9 <= agree < 1


def test_int8_that_fails_keeps_the_old_output(
    bundle: Path, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "AGREEMENT", 1.01)
    output = tmp_path / "out.safetensors"
    with pytest.raises(SystemExit, match=r"^int8 is not stored: town train, cityscapes19, 2 frames: masks agree on "):
        command(monkeypatch, bundle, output, *splits(town), "--check-frames", 2)
    assert not output.exists()


def test_without_calibration_weights_and_ranges_are_kept(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = load_bundle(bundle)
    manifest = dataclasses.replace(read.manifest, int8_ranges={"stem": (0.0, 3.0)}, int8_checks={"note": "by hand"})
    before = write_bundle(bundle, read.tensors, manifest)
    output = tmp_path / "out.safetensors"
    command(monkeypatch, bundle, output)
    after = load_bundle(output)
    assert after.model_id == before.model_id
    assert after.manifest == before.manifest
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], tensor)


@pytest.mark.parametrize(
    ("agreement", "fp32", "rounded", "passes"),
    [
        (0.985, 0.5, 0.5, True),
        (0.9849, 0.5, 0.6, False),
        (1.0, 0.5, 0.4949, False),
        (1.0, 0.5, 0.4951, True),
        (1.0, 0.5, float("nan"), False),
    ],
)
def test_the_allowed_loss_of_int8(agreement: float, fp32: float, rounded: float, passes: bool) -> None:
    checks = [Check("data", 1, 1.0, 0.5, 0.5), Check("data", 1, agreement, fp32, rounded)]
    if passes:
        refuse_unless_passed(checks)
    else:
        with pytest.raises(BundleError, match=r"\(needed: 98\.5 % and at most 0\.5 mIoU lost\)$"):
            refuse_unless_passed(checks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibrate", "a", "train"], "--calibrate needs at least one --check"),
        (["--check", "a", "val", "nothing", "cityscapes"], "there is no grouping nothing"),
        (["--frames", "0"], "--frames must be at least 1, and --check-frames must not be negative"),
        (["--check-frames", "-1"], "--check-frames must not be negative"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(monkeypatch, "x.safetensors", "y.safetensors", *arguments)
    assert message in capsys.readouterr().err


def test_missing_data_is_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="nowhere"):
        command(monkeypatch, bundle, tmp_path / "out", *splits(tmp_path / "nowhere"))


def test_what_would_fail_after_the_calibration_is_found_before(
    bundle: Path, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "calibrate", lambda *_: pytest.fail("calibrated"))
    with pytest.raises(SystemExit, match="no class map is called 'nothing'"):
        command(monkeypatch, bundle, tmp_path / "out", *splits(town)[:-1], "nothing")
    with pytest.raises(SystemExit, match=f"{town}: is a folder; name a file"):
        command(monkeypatch, bundle, town, *splits(town))

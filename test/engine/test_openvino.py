"""The OpenVINO engine and its graph against PyTorch in float64; precisions, threads and what is refused."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from test.model.test_fold import trained
from test.test_segmenter import resized_float64
from unet_seg_ros.engine import OutOfMemory
from unet_seg_ros.engine import openvino as module
from unet_seg_ros.engine.cpu_features import has_bf16
from unet_seg_ros.engine.openvino import OpenVinoEngine, pick_precision
from unet_seg_ros.engine.openvino_graph import build_graph
from unet_seg_ros.model.bundle import MEAN, STD, Bundle, Manifest, load_bundle, save_bundle
from unet_seg_ros.model.config import UNetConfig
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.model.unet import UNet
from unet_seg_ros.segmenter import Segmenter

SHAPES = {
    "residual with context": UNetConfig(widths=(8, 16, 32), depths=(1, 2, 1)),
    "a context without groups": UNetConfig(widths=(4, 6), depths=(1, 1), decoder_convs=2),
    "without context": UNetConfig(widths=(8, 8, 16), depths=(2, 1, 1), context=False),
    "full resolution": UNetConfig(widths=(4, 8, 16), depths=(1, 1, 2), stem_stride=1),
    "classic": UNetConfig((4, 8), (2, 2), stem_stride=1, residual=False, context=False, decoder_convs=2),
}
TOLERANCE = {"fp32": 1e-5, "bf16": 5e-2}


def bundle_of(config: UNetConfig, folder: Path, folded: bool = True) -> Bundle:
    model = trained(config).float()
    model = fold(model) if folded else model
    return save_bundle(folder / "x.safetensors", model, Manifest("x", model.config, 4096))


def float64(bundle: Bundle, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    normalised = (images / 255 - MEAN) / STD
    with torch.inference_mode():
        logits: torch.Tensor = bundle.build().double()(torch.from_numpy(normalised.transpose(0, 3, 1, 2)))
    return logits.numpy()


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


NATIVE_BF16 = pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16")
CASES = [
    *(pytest.param(name, False, "fp32") for name in SHAPES),
    ("residual with context", True, "fp32"),
    pytest.param("residual with context", True, "bf16", marks=NATIVE_BF16),
]


@pytest.mark.parametrize(("name", "folded", "precision"), CASES)
def test_scores_equal_those_of_the_network(name: str, folded: bool, precision: str, tmp_path: Path) -> None:
    bundle = bundle_of(SHAPES[name], tmp_path, folded)
    engine = OpenVinoEngine(bundle, precision)
    assert (engine.device, engine.precision, engine.stride) == ("cpu", precision, SHAPES[name].stride)
    for height, width in ((3, 4), (1, 2)):  # one compiled network for all sizes
        images = engine.allocate(2, height * engine.stride, width * engine.stride)
        images[:] = noise(*images.shape)
        expected = float64(bundle, images)
        for scores, logits in zip(engine(images), expected, strict=True):
            assert scores.logits.dtype == scores.probability.dtype == np.float32
            assert np.abs(scores.logits - logits).max() <= TOLERANCE[precision] * np.abs(logits).max()
            softmax = torch.from_numpy(scores.logits).softmax(dim=0).max(dim=0).values
            np.testing.assert_allclose(scores.probability, softmax, rtol=0.02 if precision == "bf16" else 1e-5)
            assert scores.winner.dtype == np.uint8
            chosen = np.take_along_axis(scores.logits, scores.winner[None].astype(int), axis=0)
            np.testing.assert_array_equal(chosen[0], scores.logits.max(axis=0))


def test_scores_of_one_call_do_not_overwrite_each_other(tmp_path: Path) -> None:
    engine = OpenVinoEngine(bundle_of(SHAPES["classic"], tmp_path), "fp32")
    images = noise(3, 8, 8, 3)
    together = engine(images)
    for place in range(3):
        for one, other in zip(engine(images[place : place + 1])[0], together[place], strict=True):
            np.testing.assert_array_equal(one, other)


def ranges_of(bundle: Bundle, images: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Wide ranges for a few operations."""
    return {"normalised": (-3.0, 3.0), "stem": (0.0, 8.0), "encoder.0.0": (0.0, 20.0), "decoder.0.concat": (-9.0, 20.0)}


def test_int8_scores_are_near_those_of_the_network(tmp_path: Path) -> None:
    plain = bundle_of(SHAPES["residual with context"], tmp_path)
    images = noise(1, 32, 48, 3)
    manifest = dataclasses.replace(plain.manifest, int8_ranges=ranges_of(plain, images))
    engine = OpenVinoEngine(dataclasses.replace(plain, manifest=manifest))
    assert engine.precision == "int8"
    logits, expected = engine(images)[0].logits, float64(plain, images)[0]
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    assert 1e-4 < difference < 0.2


def test_ranges_of_unknown_operations_are_refused(tmp_path: Path) -> None:
    bundle = bundle_of(SHAPES["classic"], tmp_path)
    with pytest.raises(ValueError, match=r"^int8_ranges name context\.add, but this network has no operation"):
        build_graph(bundle, {"context.add": (0.0, 1.0)})


def test_the_precision_is_chosen_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundle_of(SHAPES["classic"], tmp_path)
    manifest = dataclasses.replace(bundle.manifest, int8_ranges={"head": (0.0, 1.0)})
    calibrated = dataclasses.replace(bundle, manifest=manifest)
    for native, best in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(module, "has_bf16", lambda it=native: it)
        assert pick_precision(bundle, "auto") == best
        assert pick_precision(calibrated, "auto") == pick_precision(calibrated, "int8") == "int8"
        assert pick_precision(calibrated, "fp32") == "fp32"
    with pytest.raises(ValueError, match=r"^precision bf16: this CPU does not have bf16; use auto or fp32$"):
        pick_precision(bundle, "bf16")
    with pytest.raises(ValueError, match=rf"^precision int8: {bundle.model_id} is not calibrated for int8"):
        pick_precision(bundle, "int8")
    for other in ("", "fp16", "FP32"):
        with pytest.raises(ValueError, match=r"^precision must be one of auto, fp32, bf16, int8 on a CPU, not "):
            pick_precision(bundle, other)


def test_the_engine_uses_the_given_threads(tmp_path: Path) -> None:
    bundle = bundle_of(SHAPES["classic"], tmp_path)
    for threads in (1, 2):
        model = OpenVinoEngine(bundle, threads=threads)._request.get_compiled_model()
        assert model.get_property("INFERENCE_NUM_THREADS") == threads
    with pytest.raises(ValueError, match="threads must not be negative, not -1"):
        OpenVinoEngine(bundle, threads=-1)


def test_one_core_by_affinity_gives_one_thread_and_pytorch_is_not_loaded(tmp_path: Path) -> None:
    bundle_of(SHAPES["classic"], tmp_path)
    script = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import numpy as np; from pathlib import Path; from unet_seg_ros.segmenter import Segmenter\n"
        f"segmenter = Segmenter.load(Path({str(tmp_path / 'x.safetensors')!r}), 'cpu')\n"
        "segmenter([np.zeros((30, 50, 3), np.uint8)])\n"
        "model = segmenter.engine._request.get_compiled_model()\n"
        "assert model.get_property('INFERENCE_NUM_THREADS') == 1\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": "."})


def test_nothing_is_reported_over_the_internet(tmp_path: Path) -> None:
    script = "import unet_seg_ros.engine.openvino; import training.exporting.int8"
    environment = {**os.environ, "PYTHONPATH": ".", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    assert not (tmp_path / "intel").exists()  # where openvino_telemetry keeps its identity


def test_after_out_of_memory_the_engine_still_works(tmp_path: Path) -> None:
    engine = OpenVinoEngine(bundle_of(SHAPES["classic"], tmp_path), "fp32")
    huge = np.broadcast_to(np.uint8(0), (1, 1 << 20, 1 << 24, 3))
    with pytest.raises(OutOfMemory):
        engine(huge)
    assert engine(noise(1, 8, 8, 3))[0].logits.shape == (19, 8, 8)


@pytest.mark.parametrize("size", [(1, 1), (31, 17), (90, 131)])
def test_masks_agree_with_float64_at_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    bundle = bundle_of(SHAPES["residual with context"], tmp_path)
    segmenter = Segmenter.load(bundle, "cpu", precision="fp32")
    frame = noise(*size, 3)
    mask = segmenter([frame])[0].mask
    working = working_size(*size, segmenter.max_pixels)
    padded = segmenter.padded([frame], working)
    full = resized_float64(float64(bundle, padded)[0], size, working)
    assert mask.shape == size
    chosen = np.take_along_axis(full, mask[None].astype(int), axis=0)[0]
    assert (full.max(axis=0) - chosen).max() < 1e-4 * np.abs(full).max()


def test_the_graph_of_the_shipped_model_computes_the_same_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(Path(__file__).parents[2] / "models" / "unet_nano.safetensors")
    images = noise(1, 32, 64, 3)
    logits, expected = OpenVinoEngine(bundle, "fp32")(images)[0].logits, float64(bundle, images)[0]
    assert isinstance(bundle.build(), UNet)
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_signal_after_engines_were_freed_does_not_crash(tmp_path: Path) -> None:
    """Each Core of OpenVINO changes the stack on which signals are handled, and frees it at its end."""
    bundle_of(SHAPES["without context"], tmp_path)
    program = f"""
import signal
from pathlib import Path
from unet_seg_ros.engine.openvino import OpenVinoEngine
from unet_seg_ros.model.bundle import load_bundle

signal.signal(signal.SIGINT, lambda *_: print("handled"))
bundle = load_bundle(next(Path({str(tmp_path)!r}).glob("*.safetensors")))
first, second = OpenVinoEngine(bundle), OpenVinoEngine(bundle)
del first
del second
signal.raise_signal(signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr

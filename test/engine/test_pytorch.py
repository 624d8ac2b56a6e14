"""The PyTorch engine: logits, devices, errors. What needs a GPU is faked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.engine import pytorch as module
from unet_seg_ros.engine.pytorch import (
    OWN_THREADS,
    TorchEngine,
    device_errors,
    pick_device,
    pick_precision,
)
from unet_seg_ros.engine.threads import thread_count
from unet_seg_ros.model.bundle import MEAN, STD, Bundle, BundleError, Manifest, save_bundle
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.segmenter import Segmenter

CONFIG = UNetConfig(widths=(8, 16), depths=(1, 2))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Engines set the process's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(config: UNetConfig = CONFIG) -> UNet:
    """A network whose normalisations hold values as after training."""
    torch.manual_seed(0)
    model = UNet(config).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 2)  # type: ignore[arg-type]
            for tensor in (norm.bias, norm.running_mean):
                nn.init.normal_(tensor)  # type: ignore[arg-type]
    return model


def bundle(model: UNet, folder: Path) -> Bundle:
    return save_bundle(folder / "x.safetensors", model, Manifest("x", model.config, max_pixels=1024))


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-3), ("bf16", 5e-2)])
def test_logits_equal_those_of_the_network(
    precision: str, tolerance: float, folded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_bf16", lambda: precision == "bf16")
    model = trained()
    engine = TorchEngine(bundle(fold(model) if folded else model, tmp_path), "cpu")
    assert (engine.device, engine.precision, engine.stride) == ("cpu", precision, 4)
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    images = engine.allocate(2, 32, 48)
    assert (images.shape, images.dtype) == ((2, 32, 48, 3), np.uint8)
    images[:] = frames
    scores = engine(images)
    logits = np.stack([frame.logits for frame in scores])
    assert (logits.shape, logits.dtype) == ((2, 19, 16, 24), np.float32)
    normalised = (frames / 255 - MEAN) / STD
    expected = model.double()(torch.from_numpy(normalised.transpose(0, 3, 1, 2)))
    assert np.abs(logits - expected.detach().numpy()).max() <= tolerance * expected.abs().max()
    for frame in scores:
        softmax = torch.from_numpy(frame.logits).softmax(dim=0)
        np.testing.assert_array_equal(frame.winner, frame.logits.argmax(axis=0))
        np.testing.assert_allclose(frame.probability, softmax.max(dim=0).values, rtol=1e-5)


def test_normalisations_are_folded_whether_stored_so_or_not(tmp_path: Path) -> None:
    for model in (trained(), fold(trained())):
        engine = TorchEngine(bundle(model, tmp_path), "cpu")
        assert not any(isinstance(module, nn.BatchNorm2d) for module in engine._model.modules())


def test_the_bundle_is_not_changed(tmp_path: Path) -> None:
    read = bundle(trained(), tmp_path)
    before = {name: tensor.copy() for name, tensor in read.tensors.items()}
    TorchEngine(read, "cpu")
    assert all(np.array_equal(before[name], tensor) for name, tensor in read.tensors.items())


def test_the_engine_uses_the_given_threads(tmp_path: Path) -> None:
    read = bundle(trained(), tmp_path)
    TorchEngine(read, "cpu", threads=2)
    assert torch.get_num_threads() == 2
    TorchEngine(read, "cpu")  # not the last engine's
    assert torch.get_num_threads() == thread_count(0, OWN_THREADS)
    with pytest.raises(ValueError, match="threads must not be negative, not -1"):
        TorchEngine(read, "cpu", threads=-1)


def test_the_device_is_chosen_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    for name in ("", "CPU", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0 ", "cpu:0", "meta"):
        with pytest.raises(ValueError, match=r"^device must be auto, cpu, cuda or cuda:N, not "):
            pick_device(name)
    for name in ("cuda", "cuda:0", "cuda:7", "cuda:99999999999999999999"):
        with pytest.raises(ValueError, match=rf"^device '{name}': PyTorch .* finds 0 usable GPUs; use device auto"):
            pick_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(pick_device(name)) for name in ("auto", "cuda", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:1"]
    with pytest.raises(ValueError, match="finds 2 usable GPUs"):
        pick_device("cuda:2")


def test_the_precision_is_one_that_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_it, precision in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, it=has_it: it)
        gpu = torch.device("cuda", 0)
        assert pick_precision(gpu) == pick_precision(gpu, precision) == precision
        assert pick_precision(gpu, "fp32") == "fp32"
        for other in {"bf16", "fp16", "int8"} - {precision}:
            with pytest.raises(ValueError, match=rf"^precision {other}: PyTorch on cuda:0 .* {precision} or fp32$"):
                pick_precision(gpu, other)
    for has_it, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(module, "has_bf16", lambda it=has_it: it)
        assert pick_precision(torch.device("cpu")) == precision


class Unlisted(Exception):
    """None of PyTorch's."""


@pytest.mark.parametrize(
    ("error", "becomes", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), OutOfMemory, "CUDA out of memory. Tried"),
        (torch.OutOfMemoryError(""), OutOfMemory, "OutOfMemoryError"),
        (torch.AcceleratorError("CUDA error: out of memory\nmore"), OutOfMemory, "CUDA error: out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: x"), OutOfMemory, None),
        (torch.AcceleratorError("CUDA error: unspecified launch failure\nmore"), DeviceLost, None),
        (RuntimeError("CUDA error: device-side assert"), DeviceLost, "CUDA error: device-side assert"),
        (torch.AcceleratorError(""), DeviceLost, "AcceleratorError"),
        (OutOfMemory("CUDA error: a"), OutOfMemory, "CUDA error: a"),
        (DeviceLost("out of memory"), DeviceLost, "out of memory"),
        (RuntimeError("shapes differ"), RuntimeError, "shapes differ"),
        (ValueError("CUDA error"), ValueError, "CUDA error"),
        (Unlisted("out of memory"), Unlisted, "out of memory"),
    ],
)
def test_device_errors_become_out_of_memory_or_device_lost(
    error: Exception, becomes: type[Exception], message: str | None
) -> None:
    with pytest.raises(becomes) as caught, device_errors():
        raise error
    assert type(caught.value) is becomes
    assert "\n" not in str(caught.value)
    assert message is None or str(caught.value) == message


def test_after_out_of_memory_on_a_cpu_the_engine_still_works(tmp_path: Path) -> None:
    engine = TorchEngine(bundle(trained(), tmp_path), "cpu")
    with pytest.raises(OutOfMemory):
        engine.allocate(1, 1 << 25, 1 << 25)
    with pytest.raises(OutOfMemory):
        engine(np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (1, 1 << 20, 1 << 24, 3), (0,) * 4))
    assert engine(np.zeros((1, 8, 8, 3), np.uint8))[0].logits.shape == (19, 4, 4)


def test_a_segmenter_is_loaded_with_its_options(tmp_path: Path) -> None:
    read = bundle(trained(), tmp_path)
    path = tmp_path / "x.safetensors"
    one, other = Segmenter.load(path, "cpu", max_pixels=64), Segmenter.load(read, "cpu", max_pixels=64)
    assert one.model_id == other.model_id == f"x-{read.digest[:12]}"
    frame = np.random.default_rng(0).integers(0, 256, (31, 17, 3), np.uint8)
    np.testing.assert_array_equal(one([frame])[0].mask, other([frame])[0].mask)
    with pytest.raises(BundleError, match=rf"^{tmp_path}/none\.safetensors: no such file$"):
        Segmenter.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"^device must be"):
        Segmenter.load(path, "tpu")
    with pytest.raises(ValueError, match=r"^threads must not be negative"):
        Segmenter.load(path, "cpu", threads=-2)
    with pytest.raises(ValueError, match=r"^max_pixels must be"):
        Segmenter.load(path, "cpu", max_pixels=15)

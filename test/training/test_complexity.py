"""Costs against counts by hand, PyTorch's own records and the files that are written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from training.complexity import LiveMemory, cost, main, table
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig

TINY = UNetConfig((2, 3), (1, 1), stem_stride=1, residual=False, context=False, num_classes=2)


def test_the_cost_of_a_tiny_network_by_hand() -> None:
    counted = cost(TINY, (4, 6))
    weights = [2 * 3 * 9, 3 * 2 * 9, 3 * 2 * 4, 2 * 4 * 9, 2 * 2]  # encoder (2), up-convolution, decoder, head
    assert counted.parameters == sum(weights) + 2 + 3 + 2 + 2 + 2
    # Each weight is used at every pixel of the output; the up-convolution's at every pixel of its input.
    pixels = [4 * 6, 2 * 3, 2 * 3, 4 * 6, 4 * 6]
    assert counted.flops == 2 * sum(w * p for w, p in zip(weights, pixels, strict=True))
    # When the decoder concatenates: image, skip, bottleneck, its up-convolution and both together.
    assert counted.inference == 4 * (24 * 3 + 24 * 2 + 6 * 3 + 24 * 2 + 24 * 4)


def test_sizes_are_padded_to_the_stride() -> None:
    assert cost(TINY, (3, 5)) == cost(TINY, (4, 6)) != cost(TINY, (4, 8))


def test_the_bundle_is_as_large_as_its_file(tmp_path: Path) -> None:
    path, config = tmp_path / "x.safetensors", CONFIGS["nano"]
    folded = fold(UNet(config))
    save_bundle(path, folded, Manifest("x", folded.config, 100_000))
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert cost(config, (64, 32)).bundle == path.stat().st_size - header


def plain(x: Tensor) -> Tensor:
    """Operators that allocate nothing but their outputs."""
    y = x.exp()
    z = torch.cat([y, x[:, :2], y])
    del y
    z.mul_(2)
    return z.view(-1)[::3].clone().sum()


def recorded(function: Callable[[], object]) -> int:
    """The most memory at once that PyTorch's allocator records."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        function()
    assert run.profiler is not None
    events = [event for event in run.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = total = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def test_live_memory_equals_the_allocators_record() -> None:
    x = torch.randn(64, 2)
    without_memory = x.to("meta")
    memory = LiveMemory()
    with memory:
        plain(without_memory)
    assert memory.peak == recorded(lambda: plain(x))


def test_training_memory_is_at_least_that_of_saved_tensors() -> None:
    config = CONFIGS["nano"]
    model, image = UNet(config).train(), torch.randn(1, 3, 192, 256)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(image)
    counted = cost(config, (192, 256))
    least = sum(saved.values()) + logits.nbytes
    assert least <= counted.training <= 1.3 * least
    assert counted.training > counted.inference


def test_the_command_prints_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["complexity", "--size", "96x64"])
    main()
    printed = capsys.readouterr().out
    assert printed.startswith(table((64, 96)))
    assert [line.split()[0] for line in printed.splitlines()[1 : 1 + len(CONFIGS)]] == list(CONFIGS)
    nano = cost(CONFIGS["nano"], (64, 96))
    row = next(line for line in printed.splitlines() if line.startswith("nano"))
    expected = [
        nano.parameters / 1e6,
        nano.flops / 1e9,
        nano.inference / 2**20,
        nano.training / 2**20,
        nano.bundle / 2**20,
    ]
    assert row.split()[1:] == [f"{figure:.1f}" for figure in expected]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("2048by1024", "must be WIDTHxHEIGHT in pixels, such as 2048x1024, not '2048by1024'"),
        ("0x1024", "must be WIDTHxHEIGHT"),
        ("16x9", "size must be above 16 pixels in one direction, not 16x9"),
    ],
)
def test_wrong_sizes_are_refused(
    size: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["complexity", "--size", size])
    with pytest.raises(SystemExit) as caught:
        main()
    assert message in str(caught.value) + capsys.readouterr().err

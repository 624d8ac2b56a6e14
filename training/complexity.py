"""The cost of each UNet in operations and memory: ``python -m training.complexity [--size 2048x1024]``.

The networks run on PyTorch's meta device, which computes only shapes.
"""

from __future__ import annotations

import argparse
import re
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from training.interruption import end_in_one_line
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.unet import CONFIGS, UNet, UNetConfig
from unet_seg_ros.text import never_fail_to_print

MIB = 1 << 20


class Cost(NamedTuple):
    """The cost of one image; sizes are in bytes.

    ``flops`` counts the convolutions, a multiply-add as 2. ``inference`` and ``training`` are the peak memory of
    the activations in fp32, including the normalised image: for a forward pass without gradients of the exported
    network, and for a forward and backward pass of the trained network without the loss. They do not include weights,
    their gradients, and memory that libraries allocate inside an operator. ``parameters`` and ``bundle`` are of the
    exported network, with batch normalisation folded.
    """

    parameters: int
    flops: int
    inference: int
    training: int
    bundle: int


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the memory of the tensors that operators make inside the ``with`` block; ``peak`` is the maximum,
    bytes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: dict[int, int] = {}
        self.peak = 0

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's memory until it is freed. Memory that several tensors share counts once."""
        storage = tensor.untyped_storage()
        key = id(storage)
        if key not in self.live:
            self.live[key] = storage.nbytes()
            weakref.finalize(storage, self.live.pop, key)
        self.peak = max(self.peak, sum(self.live.values()))

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        outputs = function(*arguments, **(keywords or {}))
        inputs = {id(tensor.untyped_storage()) for tensor in _tensors((arguments, keywords))}
        for tensor in _tensors(outputs):
            if id(tensor.untyped_storage()) not in inputs:  # a view of a weight is not an activation
                self.add(tensor)
        return outputs


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _image(size: tuple[int, int], stride: int) -> Tensor:
    """One image of ``size`` (height, width), padded to the stride as the Segmenter does.

    Raises ValueError if only one pixel is left at the bottleneck: the network cannot be trained on such an image.
    """
    height, width = (-(-length // stride) * stride for length in size)
    if max(height, width) <= stride:
        raise ValueError(f"size must be above {stride} pixels in one direction, not {size[1]}x{size[0]}")
    return torch.empty(1, 3, height, width)


def _inference_memory(model: nn.Module, image: Tensor) -> int:
    memory = LiveMemory()
    with torch.no_grad(), memory:
        memory.add(image)
        model(image)
    return memory.peak


def _training_memory(model: nn.Module, image: Tensor) -> int:
    def forget(parameter: Tensor) -> None:
        parameter.grad = None

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(forget)  # type: ignore[no-untyped-call]
    memory = LiveMemory()
    with memory:
        memory.add(image)
        logits = model.train()(image)
        logits.backward(torch.ones_like(logits))
    return memory.peak


def cost(config: UNetConfig, size: tuple[int, int]) -> Cost:
    """The cost of a network for an image of ``size`` (height, width) in pixels.

    Raises ValueError for an image that is too small to train on.
    """
    with torch.device("meta"):
        trained = UNet(config)
        shipped = fold(UNet(config))
        image = _image(size, config.stride)
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            shipped(image)
        return Cost(
            sum(parameter.numel() for parameter in shipped.parameters()),
            flops.get_total_flops(),
            _inference_memory(shipped, image),
            _training_memory(trained, image),
            # A bundle stores the weights of convolutions in 16 bits.
            sum(t.numel() * (2 if t.ndim == 4 else t.element_size()) for t in shipped.state_dict().values()),
        )


def table(size: tuple[int, int]) -> str:
    """A row for each named configuration."""
    rows = [cost(config, size) for config in CONFIGS.values()]
    frame = pandas.DataFrame(rows, index=list(CONFIGS)) / (1e6, 1e9, MIB, MIB, MIB)
    frame.columns = ["parameters (M)", "GFLOP", "inference (MiB)", "training (MiB)", "bundle (MiB)"]
    return str(frame.to_string(float_format="{:.1f}".format))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT in pixels, such as 2048x1024, not {text!r}")
    return int(match[2]), int(match[1])


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=_size, default="2048x1024", help="WIDTHxHEIGHT of the image (default 2048x1024)")
    height, width = size = parser.parse_args().size
    try:
        print(table(size))
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(
        f"\nOne image of {width}×{height}. A multiply-add counts as 2 FLOP. Memory: the most that activations take at "
        "once in fp32,\nwithout weights, their gradients, the loss and what libraries allocate for themselves."
    )


if __name__ == "__main__":
    main()

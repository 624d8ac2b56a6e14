"""Training in one process or in several (torchrun): their numbers, and differentiable sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed


def rank() -> int:
    """This process's number, 0 if there is only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """The number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@contextmanager
def process_group() -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; yields the device of this process."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    if cuda and local >= torch.cuda.device_count():
        raise ValueError(f"process {local} of this machine has no GPU: start at most {torch.cuda.device_count()}")
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        yield device
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def same_everywhere(value: int) -> bool:
    """Whether all processes have the same ``value``."""
    if world() == 1:
        return True
    values: list[Any] = [None] * world()
    distributed.all_gather_object(values, value)
    return len(set(values)) == 1


class _Sum(torch.autograd.Function):
    """The result of each process depends on the inputs of all, so the gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def summed(tensor: Tensor) -> Tensor:
    """The sum of ``tensor`` over all processes, differentiable.

    A loss made of such sums is the same number in each process, and the mean of the processes' gradients, which
    DistributedDataParallel takes, is the gradient that one process with all the samples would have.
    """
    if world() == 1:
        return tensor
    total: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return total

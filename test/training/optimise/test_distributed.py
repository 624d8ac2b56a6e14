"""Two processes with unequal shares of the valid pixels give the loss and the gradients of one."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from training.optimise.distributed import rank, summed, world
from training.optimise.losses import CrossEntropyDice
from training.optimise.quarter_grid import quarter
from unet_seg_ros.model.unet import UNet, UNetConfig

SETS = ((0,), (1, 2), (1,), (0, 1, 2), (3,))
CLASSES = 4
CASES = ("equal", "unequal", "one empty", "all empty")
WEIGHTS = [1.0, 3.0, 0.5, 2.0, 7.0]


def membership() -> Tensor:
    return torch.tensor([[c in s for c in range(CLASSES)] for s in SETS])


def network() -> UNet:
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 6, 8), depths=(1, 1, 1), num_classes=CLASSES)
    return UNet(config).double().eval()


def batch(case: str) -> tuple[Tensor, Tensor]:
    """Four images; the first two, one process's share, have few valid pixels, or none, or lack sets the others have."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, len(SETS), (4, 16, 24)).astype(np.uint8)
    if case == "unequal":
        labels[:2][rng.random((2, 16, 24)) < 0.9] = 255
        labels[0][labels[0] == 4] = 255
    elif case == "one empty":
        labels[:2] = 255
    elif case == "all empty":
        labels[:] = 255
    return torch.from_numpy(rng.normal(size=(4, 3, 16, 24))), torch.from_numpy(labels)


def losses_and_gradients(net: torch.nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    loss = CrossEntropyDice(membership(), torch.tensor(WEIGHTS)).double()
    value = loss(*quarter(net(images), labels, step=1))
    value.backward()
    named = {name.removeprefix("module."): p.grad for name, p in net.named_parameters()}
    return {"loss": value.detach().reshape(1), **{n: g for n, g in named.items() if g is not None}}


WORKER = """
import os, sys
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from safetensors.torch import save_file
from test.training.optimise.test_distributed import CASES, batch, losses_and_gradients, network
from training.optimise.distributed import process_group, rank
with process_group():
    mine = slice(2 * rank(), 2 * rank() + 2)
    for case in CASES:
        images, labels = batch(case)
        found = losses_and_gradients(DistributedDataParallel(network()).eval(), images[mine], labels[mine])
        save_file(found, f"{sys.argv[1]}/{case}{rank()}.safetensors")
"""


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Tensor]]]:
    """The results of each of two processes, for each case."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parents[3]
    processes = []
    for number in range(2):
        environment = {
            "PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
            "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        command = [sys.executable, "-c", WORKER, str(folder)]
        processes.append(subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return {case: [load_file(folder / f"{case}{number}.safetensors") for number in range(2)] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_loss_and_gradients_of_one(
    case: str, of_two: dict[str, list[dict[str, Tensor]]]
) -> None:
    expected = losses_and_gradients(network(), *batch(case))
    for found in of_two[case]:
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10 * scale)
    assert (float(expected["loss"]) == 0) == (case == "all empty")


def in_numpy(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """The loss by its definition, pixel by pixel."""
    entropy = weight = 0.0
    both, predicted, labelled = (np.zeros(len(SETS)) for _ in range(3))
    present = set()
    for n, y, x in np.argwhere(labels != 255):
        e = np.exp(logits[n, :, y, x] - logits[n, :, y, x].max())
        p, j = e / e.sum(), labels[n, y, x]
        entropy -= WEIGHTS[j] * np.log(p[list(SETS[j])].sum())
        weight += WEIGHTS[j]
        present.add(int(j))
        for k, members in enumerate(SETS):
            inside = set(SETS[j]) <= set(members)
            if inside or not set(SETS[j]) & set(members):
                both[k] += p[list(members)].sum() * inside
                predicted[k] += p[list(members)].sum()
                labelled[k] += inside
    dice = [1 - 2 * both[k] / (predicted[k] + labelled[k]) for k in present]
    return float(entropy / weight + np.mean(dice))


def test_the_loss_of_two_processes_equals_numpys(of_two: dict[str, list[dict[str, Tensor]]]) -> None:
    images, labels = batch("unequal")
    fine = network()(images).detach().numpy()  # at half size: bilinear, align_corners=False, by definition
    for axis in (2, 3):
        edge = np.concatenate([np.take(fine, [0], axis), fine, np.take(fine, [-1], axis)], axis)
        before, here, after = (np.take(edge, np.arange(fine.shape[axis]) + k, axis) for k in range(3))
        size = [(2 if dim == axis else 1) * length for dim, length in enumerate(fine.shape)]
        fine = np.stack([0.25 * before + 0.75 * here, 0.75 * here + 0.25 * after], axis + 1).reshape(size)
    expected = in_numpy(fine[:, :, 1::2, 0::2], labels.numpy()[:, 1::2, 0::2])  # what step 1 takes
    for found in of_two["unequal"]:
        assert float(found["loss"]) == pytest.approx(expected, rel=1e-10)


def test_one_process_sums_nothing() -> None:
    x = torch.ones(3, requires_grad=True)
    assert (rank(), world()) == (0, 1)
    assert summed(x) is x

"""The loss on a quarter of the pixels at each step."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from training.optimise.quarter_grid import at_phase, quarter


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_phases_are_every_second_pixel_of_the_upsampled_logits(phase: tuple[int, int]) -> None:
    logits = torch.randn(2, 3, 5, 7)
    labels = torch.arange(2 * 10 * 14).reshape(2, 10, 14)
    full = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    found, found_labels = at_phase(logits, labels, phase)
    torch.testing.assert_close(found, full[:, :, phase[0] :: 2, phase[1] :: 2])
    assert torch.equal(found_labels, labels[:, phase[0] :: 2, phase[1] :: 2])


def test_four_steps_use_every_pixel_once() -> None:
    labels = torch.arange(8 * 12).reshape(1, 8, 12)
    used = torch.cat([quarter(torch.zeros(1, 2, 4, 6), labels, step)[1].flatten() for step in range(4, 8)])
    assert sorted(used.tolist()) == list(range(96))


def test_logits_at_full_size_are_used_completely() -> None:
    logits, labels = torch.randn(1, 2, 8, 12), torch.zeros(1, 8, 12)
    assert quarter(logits, labels, 1) == (logits, labels)


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("size", [(3, 4), (1, 2), (1, 1)])
def test_the_gradient_equals_numerical_differences(phase: tuple[int, int], size: tuple[int, int]) -> None:
    logits = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
    labels = torch.zeros(1, 2 * size[0], 2 * size[1])
    assert torch.autograd.gradcheck(lambda x: at_phase(x, labels, phase)[0], logits)

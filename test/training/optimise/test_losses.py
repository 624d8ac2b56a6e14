"""Cross-entropy + dice over sets, against float64 written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from training.data.label_sets import LabelSets
from training.optimise.losses import CrossEntropyDice

Sets = tuple[tuple[int, ...], ...]
SINGLE: Sets = ((0,), (1,), (2,), (3,))
OVERLAPPING: Sets = ((0,), (1, 2), (1,), (0, 1, 2), (2, 3), (4,))


def membership(sets: Sets, classes: int) -> Tensor:
    return torch.tensor([[c in s for c in range(classes)] for s in sets])


def brute_force(logits: Tensor, target: Tensor, sets: Sets, weights: list[float]) -> float:
    """The definition: a pixel labelled j counts for dice of set k as 1 if j ⊆ k, 0 if they are disjoint, else not."""
    pixels = []
    for n, y, x in np.ndindex(*target.shape):
        if target[n, y, x] != 255:
            e = [math.exp(v) for v in logits[n, :, y, x].tolist()]
            pixels.append(([v / sum(e) for v in e], int(target[n, y, x])))
    if not pixels:
        return 0.0
    entropy = sum(weights[j] * -math.log(sum(p[c] for c in sets[j])) for p, j in pixels)
    entropy /= sum(weights[j] for _, j in pixels)
    losses = []
    for k in sorted({j for _, j in pixels}):
        both = predicted = labelled = 0.0
        for p, j in pixels:
            inside = set(sets[j]) <= set(sets[k])
            if inside or not set(sets[j]) & set(sets[k]):
                in_set = sum(p[c] for c in sets[k])
                both += in_set * inside
                predicted += in_set
                labelled += inside
        losses.append(1 - 2 * both / (predicted + labelled))
    return entropy + sum(losses) / len(losses)


def sample(sets: Sets, classes: int, seed: int, void: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 3, (2, classes, 4, 5)))
    target = np.where(rng.random((2, 4, 5)) < void, 255, rng.integers(len(sets), size=(2, 4, 5)))
    return logits, torch.from_numpy(target.astype(np.uint8)), torch.from_numpy(rng.uniform(0.5, 5, len(sets)))


@given(st.sampled_from([(SINGLE, 4), (OVERLAPPING, 5), (((0, 1),), 2)]), st.integers(0, 10**6), st.floats(0, 1))
def test_the_loss_follows_its_definition(case: tuple[Sets, int], seed: int, void: float) -> None:
    sets, classes = case
    logits, target, weights = sample(sets, classes, seed, void)
    weights = weights.float()
    loss = CrossEntropyDice(membership(sets, classes), weights)(logits, target)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(brute_force(logits, target, sets, weights.tolist()), rel=1e-9)


def test_cross_entropy_of_single_classes_equals_pytorchs() -> None:
    logits, target, weights = sample(SINGLE, 4, 7)
    weights = weights.float()
    valid = target != 255
    flat, label = logits.permute(0, 2, 3, 1)[valid], target[valid].long()
    entropy = torch.stack([F.cross_entropy(flat[label == k], label[label == k], reduction="sum") for k in range(4)])
    ours = CrossEntropyDice(membership(SINGLE, 4), weights).cross_entropy(entropy, label.bincount(minlength=4).double())
    torch.testing.assert_close(ours, F.cross_entropy(flat, label, weights.double()))


def test_statistics_are_in_the_order_of_the_set_indices() -> None:
    logits = torch.full((1, 4, 1, 1), -20.0)
    logits[0, 2] = 20
    losses = [CrossEntropyDice(membership(SINGLE, 4))(logits, torch.full((1, 1, 1), k)).item() for k in range(4)]
    assert losses[2] == pytest.approx(0, abs=1e-6)
    assert min(losses[:2] + losses[3:]) > 10


def test_gradients_equal_numerical_differences() -> None:
    logits, target, weights = sample(OVERLAPPING, 5, 3)
    loss = CrossEntropyDice(membership(OVERLAPPING, 5), weights.float())
    logits, target = logits[:, :, :2, :3].contiguous().requires_grad_(), target[:, :2, :3]
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


def test_the_loss_prefers_no_member_of_a_set() -> None:
    """Equally likely members have the same gradient; a likelier member has a larger one in proportion."""
    loss = CrossEntropyDice(membership(OVERLAPPING, 5))
    logits = torch.tensor([[0.5, 0.5, 0.5, 1.0, -2.0], [0.3, -1.0, 2.0, 0.5, 1.0]], dtype=torch.float64)
    logits.requires_grad_()
    loss(logits.T[None, :, :, None], torch.tensor([3, 3], dtype=torch.uint8)[None, :, None]).backward()  # {0, 1, 2}
    assert logits.grad is not None
    pull = logits.grad[:, :3] / logits.softmax(dim=1)[:, :3]
    torch.testing.assert_close(pull, pull[:, :1].expand(2, 3))
    assert (pull < 0).all()
    assert (logits.grad[:, 3:] > 0).all()


def test_an_unlikely_set_has_the_exact_gradient() -> None:
    """Its probability is 1e-26 or, in float32, 0; cross-entropy is then as large as its logits say."""
    for depth in (60.0, 300.0):
        logits = torch.tensor([[depth, 0.0, 1.0, 0.0, -1.0]], requires_grad=True)
        CrossEntropyDice(membership(OVERLAPPING, 5))(logits[:, :, None, None], torch.tensor([[[1]]])).backward()
        exact = logits.detach().double().requires_grad_()
        (exact.logsumexp(1) - exact[:, [1, 2]].logsumexp(1)).sum().backward()  # dice has no gradient there
        assert logits.grad is not None
        assert exact.grad is not None
        torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-5, atol=1e-7)


def test_void_pixels_have_no_gradient() -> None:
    logits, target, _ = sample(SINGLE, 4, 1, void=0.5)
    logits.requires_grad_()
    CrossEntropyDice(membership(SINGLE, 4))(logits, target).backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum(dim=1) > 0
    assert torch.equal(moved, target != 255)


def test_a_batch_without_labels_gives_zero() -> None:
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    loss = CrossEntropyDice(membership(SINGLE, 4))(logits, torch.full((2, 3, 3), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_dice_is_computed_over_the_batch_and_the_sets_in_it() -> None:
    """A class that a frame does not contain is not missing there; the order of the batch does not matter."""
    logits, target, _ = sample(SINGLE, 4, 5, void=0)
    target[0], target[1] = 0, 1
    loss = CrossEntropyDice(membership(SINGLE, 4))
    side_by_side = torch.cat([logits[:1], logits[1:]], dim=3), torch.cat([target[:1], target[1:]], dim=2)
    torch.testing.assert_close(loss(logits, target), loss(*side_by_side))
    flat, label = logits.permute(0, 2, 3, 1).reshape(-1, 4), target.reshape(-1).long()
    p = flat.softmax(dim=1)
    mass = torch.stack([p[label == k].sum(dim=0) for k in range(4)])
    dice = [2 * p[label == k, k].sum() / (p[:, k].sum() + (label == k).sum()) for k in (0, 1)]
    torch.testing.assert_close(loss.dice(mass, label.bincount(minlength=4).double()), 1 - sum(dice) / 2)


def test_extreme_logits_stay_finite() -> None:
    sets = LabelSets.of(["cityscapes", "camvid"])
    logits = torch.zeros(1, 19, 1, len(sets.sets))
    logits[:, 3] = 1e4
    logits[:, 5] = -1e4
    logits.requires_grad_()
    loss = CrossEntropyDice(sets.membership())(logits, torch.arange(len(sets.sets), dtype=torch.uint8)[None, None])
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()

"""Cross-entropy + dice over labels that are sets of classes (see ``label_sets``).

With p(S) = Σ_{c ∈ S} softmax(logits)_c for a pixel labelled with the set S:

* cross-entropy is −log p(S), weighted per set;
* dice (Milletari et al. 2016, arXiv:1606.04797) of a set is 1 − 2 Σ p(S)·y / (Σ p(S) + Σ y), summed over the whole
  batch, averaged over the sets that occur in it.

For sets of one class both are the usual losses. Where several processes share a batch, every sum is over all of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.optimise.distributed import summed

UNLIKELY = 1e-20
"""A set's probability below this is computed from its logits: as a sum of softmax values it would be imprecise."""


class _SetStatistics(torch.autograd.Function):
    """Softmax mass and cross-entropy by label, in few passes over the pixels.

    Logits float[P, C], label int64[P] (each below K), member float[K, C], log_member its logarithm → ``mass``
    float[K, C], the probability that the pixels of each label give to each class, and ``entropy`` float[K], the sum of
    −log p(S) over the pixels of each label.
    """

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        logits, label, member, log_member = tensors
        p = logits.softmax(dim=1)
        share = p * member.index_select(0, label)
        in_set = share.sum(dim=1)
        share /= in_set[:, None]
        entropy = -in_set.log()
        rows = (in_set < UNLIKELY).nonzero().squeeze(1)
        if len(rows):
            members = logits[rows] + log_member[label[rows]]
            share[rows] = members.softmax(dim=1)
            entropy[rows] = logits[rows].logsumexp(dim=1) - members.logsumexp(dim=1)
        ctx.save_for_backward(p, p - share, label)
        order = torch.argsort(label.to(torch.uint8), stable=True)
        counts = torch.bincount(label, minlength=len(member)).tolist()
        mass = torch.stack([part.sum(dim=0) for part in torch.split(p.index_select(0, order), counts)])
        return mass, torch.stack([part.sum() for part in torch.split(entropy[order], counts)])

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_mass, of_entropy = gradients
        p, p_less_share, label = ctx.saved_tensors
        wanted = of_mass.index_select(0, label)
        wanted -= (p * wanted).sum(dim=1, keepdim=True)
        wanted *= p
        return wanted.addcmul_(p_less_share, of_entropy.index_select(0, label)[:, None]), None, None, None


class CrossEntropyDice(nn.Module):
    """``cross_entropy + dice`` of logits float[N, C, H, W] and set indices uint8[N, H, W] (255 = ignore) → scalar.

    ``membership`` is bool[K, C]; ``weights`` float[K] multiply the cross-entropy of each set's pixels (default 1).
    A batch without a valid pixel gives 0, with gradient 0.
    """

    member: Tensor
    weights: Tensor
    inside: Tensor
    known: Tensor

    def __init__(self, membership: Tensor, weights: Tensor | None = None) -> None:
        super().__init__()
        member = membership.float()
        size = member.sum(dim=1)
        overlap = member @ member.T
        self.register_buffer("member", member)
        self.register_buffer("weights", torch.ones(len(member)) if weights is None else weights.float())
        # A pixel with label j is in set k if j ⊆ k, and not in k if they are disjoint. Otherwise this is unknown: dice
        # skips it.
        self.register_buffer("inside", (overlap == size[:, None]).float())
        self.register_buffer("known", self.inside + (overlap == 0).float())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        sets = len(self.member)
        label = target.flatten().long()
        label = torch.where(label == 255, sets, label)  # one more set with all classes; its statistics are not used
        count = summed(torch.bincount(label, minlength=sets + 1)[:sets].to(logits.dtype))
        if not count.any():
            return logits.sum() * 0.0
        member = torch.cat([self.member, torch.ones_like(self.member[:1])]).to(logits.dtype)
        flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
        mass, entropy = _SetStatistics.apply(flat, label, member, member.log())  # type: ignore[no-untyped-call]
        return self.cross_entropy(entropy[:sets], count) + self.dice(mass[:sets], count)

    def cross_entropy(self, entropy: Tensor, count: Tensor) -> Tensor:
        """Weighted mean of −log p(S) over pixels: its sum for each set, float[K], and their pixels, float[K] → scalar.

        ``count`` is over all processes.
        """
        weights = self.weights.to(entropy.dtype)
        return summed((entropy * weights).sum()) / (weights * count).sum()

    def dice(self, mass: Tensor, count: Tensor) -> Tensor:
        """Mean dice loss over the sets that occur, 0..1.

        ``mass`` float[K, C] is the probability that the pixels of each label give to each class.
        """
        mass_of_set = summed(mass) @ self.member.to(mass.dtype).T
        inside, known = self.inside.to(mass.dtype), self.known.to(mass.dtype)
        intersection = (inside * mass_of_set).sum(dim=0)
        predicted = (known * mass_of_set).sum(dim=0)
        labelled = inside.T @ count
        present = count > 0
        dice = 2 * intersection[present] / (predicted[present] + labelled[present])
        return 1 - dice.mean()

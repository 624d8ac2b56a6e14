"""Cross-entropy + dice over labels that are sets of classes (see ``label_sets``).

With p(S) = Σ_{c ∈ S} softmax(logits)_c for a pixel labelled with the set S:

* cross-entropy is −log p(S), weighted per set;
* dice (Milletari et al. 2016, arXiv:1606.04797) of a set is 1 − 2 Σ p(S)·y / (Σ p(S) + Σ y), summed over the whole
  batch, averaged over the sets that occur in it.

For sets of one class both are the usual losses. Where several processes share a batch, every sum is over all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.optimise.distributed import summed


class CrossEntropyDice(nn.Module):
    """``cross_entropy + dice`` of logits float[N, C, H, W] and set indices uint8[N, H, W] (255 = ignore) → scalar.

    ``membership`` is bool[K, C]; ``weights`` float[K] multiply the cross-entropy of each set's pixels (default 1).
    A batch without a valid pixel gives 0, with gradient 0.
    """

    member: Tensor
    weights: Tensor
    log_member: Tensor
    inside: Tensor
    known: Tensor

    def __init__(self, membership: Tensor, weights: Tensor | None = None) -> None:
        super().__init__()
        member = membership.float()
        size = member.sum(dim=1)
        overlap = member @ member.T
        self.register_buffer("member", member)
        self.register_buffer("weights", torch.ones(len(member)) if weights is None else weights.float())
        self.register_buffer("log_member", member.log())
        # A pixel labelled j lies in set k if j ⊆ k, outside if they are disjoint; else nobody knows, and dice skips it.
        self.register_buffer("inside", (overlap == size[:, None]).float())
        self.register_buffer("known", self.inside + (overlap == 0).float())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        valid = target != 255
        flat = logits.permute(0, 2, 3, 1)[valid]
        label = target[valid].long()
        count = summed(torch.bincount(label, minlength=len(self.member)).to(logits.dtype))
        if not count.any():
            return logits.sum() * 0.0
        return self.cross_entropy(flat, label, count) + self.dice(flat, label, count)

    def cross_entropy(self, logits: Tensor, label: Tensor, count: Tensor) -> Tensor:
        """Weighted mean of −log p(S) over pixels: logits float[P, C], label int64[P], count float[K] → scalar.

        ``count`` are the pixels of each set in all processes.
        """
        in_set = torch.logsumexp(logits + self.log_member.to(logits.dtype)[label], dim=1)
        losses = torch.logsumexp(logits, dim=1) - in_set
        weights = self.weights.to(logits.dtype)
        return summed((losses * weights[label]).sum()) / (weights * count).sum()

    def dice(self, logits: Tensor, label: Tensor, count: Tensor) -> Tensor:
        """Mean dice loss over the sets that occur: logits float[P, C], label int64[P], count float[K] → 0..1."""
        dtype = logits.dtype
        # Everything dice needs is the probability mass that the pixels of each label give to each class.
        mass = logits.new_zeros(len(self.member), logits.shape[1]).index_add(0, label, logits.softmax(dim=1))
        mass_of_set = summed(mass) @ self.member.to(dtype).T
        inside, known = self.inside.to(dtype), self.known.to(dtype)
        intersection = (inside * mass_of_set).sum(dim=0)
        predicted = (known * mass_of_set).sum(dim=0)
        labelled = inside.T @ count
        present = count > 0
        dice = 2 * intersection[present] / (predicted[present] + labelled[present])
        return 1 - dice.mean()

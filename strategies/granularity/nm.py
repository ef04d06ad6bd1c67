"""``n`` of every ``m`` weights stay along a layer's inputs: the pattern that sparse tensor cores know (2:4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from strategies.allocation import Allocation
from strategies.base import Context, Criterion, Infeasible, Need, NotApplicable, Removal, Target
from strategies.granularity.weight import WeightRemoval, weight_scores
from strategies.layers import in_dim, prunable_layers


@dataclass(frozen=True)
class NmRanking:
    """The one removal that the pattern allows."""

    removal: WeightRemoval
    n: int

    def cut(self, sparsity: float, target: Target) -> WeightRemoval:
        """The pattern, if it reaches ``sparsity``. Raises `Infeasible`: a pattern has one sparsity."""
        if sparsity > self.removal.sparsity(target):
            raise Infeasible(sparsity, self.removal.sparsity(target), target)
        return self.removal

    def at(self, value: float) -> WeightRemoval:
        """The pattern. Raises ValueError for another ``n`` than the strategy's."""
        if value != self.n:
            raise ValueError(f"the pattern keeps {self.n}, not {value:g}")
        return self.removal


@dataclass(frozen=True)
class NmGranularity:
    """The ``n`` highest of every ``m`` weights that read neighbouring inputs stay, for each output and tap.

    Inputs that do not fill a last group of ``m`` stay, and so do layers with fewer than ``m`` inputs. The
    pattern says how much goes from each layer, so an allocation has nothing to split.
    """

    n: int
    m: int
    name: str = "nm"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> NmRanking:
        scores = weight_scores(context, criterion)
        layers = prunable_layers(context.generator)
        held = after.masks if isinstance(after, WeightRemoval) else {}
        masks, notes = {}, {}
        for name, values in scores.items():
            values = values.cpu()
            if name in held:
                values = values.masked_fill(~held[name], -torch.inf)
            inputs = values.shape[in_dim(layers[name])]
            masks[name] = pattern(values, in_dim(layers[name]), self.n, self.m)
            if inputs < self.m:
                notes[name] = f"has {inputs} inputs, fewer than {self.m}"
        if len(notes) == len(masks):
            raise NotApplicable(f"no layer has {self.m} inputs, so there is no {self.n} of {self.m} to keep")
        return NmRanking(WeightRemoval(masks, context.work, notes), self.n)


def pattern(scores: Tensor, dim: int, n: int, m: int) -> Tensor:
    """True at the ``n`` highest of every ``m`` scores along ``dim``; the earlier one of equals stays."""
    rows = scores.movedim(dim, -1)
    full = rows.shape[-1] // m * m
    groups = rows[..., :full].unflatten(-1, (full // m, m))
    order = torch.sort(groups, dim=-1, descending=True, stable=True).indices
    kept = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, order[..., :n], True)
    mask = torch.ones_like(rows, dtype=torch.bool)
    mask[..., :full] = kept.flatten(-2)
    return mask.movedim(-1, dim)

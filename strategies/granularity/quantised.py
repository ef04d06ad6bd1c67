"""Weights on a few levels, the small levels removed, the others rebuilt from their members."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout
from strategies.baking import plain, require_plain
from strategies.base import Context, Criterion, Need, Pruned, Removal, Target
from strategies.granularity.units import layer_cuts, masked_share, nearest
from strategies.granularity.weight import weight_scores
from strategies.keeping import put_on_levels
from strategies.layers import named_weights, prunable_layers
from strategies.work import Work

ROUNDS = 25
"""Rounds of Lloyd's algorithm; one-dimensional clusters of weights have settled long before."""


@dataclass(frozen=True)
class QuantisedRemoval:
    """Codes of the weight's shape, uint8: 0 is removed, the others name the level that the weight is on."""

    codes: dict[str, Tensor]
    work: Work

    def hold(self, model: nn.Module) -> None:
        require_plain(model)
        put_on_levels(model, self.codes)

    def apply(self, model: nn.Module) -> Pruned:
        pruned = copy.deepcopy(plain(model))
        self.hold(pruned)
        cuts = layer_cuts(pruned, pruned, {name: int(codes.count_nonzero()) for name, codes in self.codes.items()})
        return Pruned(pruned, cuts, masks={name: codes > 0 for name, codes in self.codes.items()}, codes=self.codes)

    def sparsity(self, target: Target) -> float:
        return masked_share(self.codes, self.work, target)


@dataclass(frozen=True)
class QuantisedRanking:
    """The levels of all layers in the order in which they go; the highest of each layer always stays."""

    order: tuple[tuple[str, int], ...]
    """(layer, level)."""
    priorities: NDArray[np.float64]
    levels: dict[str, Tensor]
    """Layer -> level of each weight, from 0."""
    shares: dict[Target, NDArray[np.float64]]
    work: Work

    def cut(self, sparsity: float, target: Target) -> QuantisedRemoval:
        return self._first(nearest(self.shares[target], sparsity, target))

    def at(self, value: float) -> QuantisedRemoval:
        return self._first(int((self.priorities < value).sum()))

    def _first(self, count: int) -> QuantisedRemoval:
        codes = {name: (levels + 1).to(torch.uint8) for name, levels in self.levels.items()}
        for name, level in self.order[:count]:
            codes[name][self.levels[name] == level] = 0
        return QuantisedRemoval(codes, self.work)


@dataclass(frozen=True)
class QuantisedGranularity:
    """A layer's weights on ``levels`` levels (k-means from evenly spaced ones, Han et al. 2016); a unit is a level.

    A level's score is the mean score of the weights on it, so with magnitudes the levels next to zero go first.
    What stays is rebuilt as the mean of its members, and fine-tuning moves whole levels.
    """

    levels: int
    name: str = "quantised"
    needs: frozenset[Need] = frozenset()

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 255:
            raise ValueError(f"{self.levels} levels: from 2 to 255, so that a code fits into a byte beside 'removed'")

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> QuantisedRanking:
        scores = weight_scores(context, criterion)
        levels, means, counts = {}, {}, {}
        for name, weight in context.weights():
            held = after.codes[name] > 0 if isinstance(after, QuantisedRemoval) else None
            levels[name] = nearest_levels(weight.cpu(), self.levels)
            flat, values = levels[name].flatten(), scores[name].detach().cpu().double().flatten()
            if held is not None:
                values = values.masked_fill(~held.flatten(), 0.0)
            size = int(flat.max()) + 1
            counts[name] = torch.bincount(flat, minlength=size)
            means[name] = torch.zeros(size, dtype=torch.float64).scatter_add_(0, flat, values) / counts[name]
        shapes = {name: weight.shape for name, weight in context.weights()}
        priorities = allocation(
            means, Layout(context, dict(shapes), lambda name, gone: _without(context, name, levels[name], gone))
        )
        units = []
        for place, (name, values) in enumerate(priorities.items()):
            last = int(torch.argsort(values, stable=True)[-1])
            units += [(float(v), place, name, k) for k, v in enumerate(values) if k != last]
        units.sort()
        order = tuple((name, level) for _, _, name, level in units)
        return QuantisedRanking(
            order,
            np.array([priority for priority, _, _, _ in units]),
            levels,
            {target: _shares(order, counts, context, target) for target in ("params", "macs")},
            context.work,
        )


def nearest_levels(weight: Tensor, count: int) -> Tensor:
    """The level of each weight, int64 of its shape, numbered from 0 without gaps in the order of the levels."""
    flat = weight.detach().double().flatten()
    centres = torch.linspace(float(flat.min()), float(flat.max()), count, dtype=torch.float64)
    for _ in range(ROUNDS):
        chosen = torch.bucketize(flat, (centres[1:] + centres[:-1]) / 2)
        members = torch.bincount(chosen, minlength=len(centres))
        sums = torch.zeros_like(centres).scatter_add_(0, chosen, flat)
        moved = torch.where(members > 0, sums / members.clamp_min(1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    chosen = torch.bucketize(flat, (centres[1:] + centres[:-1]) / 2)
    _, numbered = torch.unique(chosen, return_inverse=True)
    levels: Tensor = numbered.view(weight.shape)
    return levels


def _without(context: Context, name: str, levels: Tensor, gone: Tensor) -> nn.Module:
    """A copy of the generator in which the weights on the levels ``gone`` of layer ``name`` are zero."""
    model = copy.deepcopy(context.generator)
    weight = prunable_layers(model)[name].weight
    with torch.no_grad():
        weight.mul_((~torch.isin(levels, gone)).to(weight))
    return model


def _shares(
    order: tuple[tuple[str, int], ...], counts: dict[str, Tensor], context: Context, target: Target
) -> NDArray[np.float64]:
    work = context.work
    worth = {name: work.per_entry(name) if target == "macs" else 1 for name in counts}
    total = work.total if target == "macs" else sum(w.numel() for _, w in named_weights(context.generator))
    gone = [int(counts[name][level]) * worth[name] for name, level in order]
    return np.concatenate([[0.0], np.cumsum(gone) / total])

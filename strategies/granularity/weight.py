"""Single weights: zeros baked into tensors of the old size, with the mask beside."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout
from strategies.baking import plain, require_plain
from strategies.base import Context, Criterion, Infeasible, Need, Pruned, Removal, Scores, Target
from strategies.granularity.units import layer_cuts, masked_share
from strategies.keeping import keep_zeros
from strategies.layers import prunable_layers
from strategies.sorting import stable_order
from strategies.work import Work


@dataclass(frozen=True)
class WeightRemoval:
    """Masks, True where the weight stays."""

    masks: dict[str, Tensor]
    work: Work
    notes: dict[str, str] = field(default_factory=dict)
    """Layer -> why it stays dense, where the granularity keeps it so."""

    def hold(self, model: nn.Module) -> None:
        require_plain(model)
        keep_zeros(model, self.masks)

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy of ``model`` with the masks in it."""
        copied = copy.deepcopy(plain(model))
        self.hold(copied)
        return copied

    def apply(self, model: nn.Module) -> Pruned:
        pruned = self.masked(model)
        cuts = layer_cuts(pruned, pruned, {name: int(mask.sum()) for name, mask in self.masks.items()}, self.notes)
        return Pruned(pruned, cuts, masks=self.masks)

    def sparsity(self, target: Target) -> float:
        return masked_share(self.masks, self.work, target)

    def state(self) -> dict[str, Any]:
        """What `WeightRanking.restored` makes it from."""
        return {"masks": dict(self.masks)}


@dataclass(frozen=True)
class WeightRanking:
    """All weights of the scope in the order in which they go; ties go in the order of the layers."""

    order: Tensor
    """Positions in the concatenation of all weights, lowest priority first."""
    sorted_priorities: Tensor
    shapes: dict[str, torch.Size]
    work: Work

    def cut(self, sparsity: float, target: Target) -> WeightRemoval:
        """Exactly ``round(sparsity * N)`` weights go, or the prefix nearest to that share of the MACs.

        Raises:
            Infeasible: nothing would be left.
        """
        total = len(self.order)
        if target == "params":
            count, maximum = round(sparsity * total), (total - 1) / total
        else:
            uses = {name: self.work.per_entry(name) for name in self.shapes}
            exact = torch.int64 if all(isinstance(each, int) for each in uses.values()) else torch.float64
            worth = torch.cat([torch.full((s.numel(),), uses[n], dtype=exact) for n, s in self.shapes.items()])
            gone = torch.cumsum(worth[self.order], 0).double() / self.work.total
            shares = torch.cat([torch.zeros(1), gone])
            count, maximum = int((shares - sparsity).abs().argmin()), float(shares[-2])
        if count >= total:
            raise Infeasible(sparsity, maximum, target)
        return self._first(count)

    def at(self, value: float) -> WeightRemoval:
        return self._first(int(torch.searchsorted(self.sorted_priorities, value)))

    def restored(self, state: dict[str, Any]) -> WeightRemoval:
        """The removal whose `state` this is."""
        return WeightRemoval(state["masks"], self.work)

    def _first(self, count: int) -> WeightRemoval:
        flat = torch.ones(len(self.order), dtype=torch.bool)
        flat[self.order[:count]] = False
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = flat.split(sizes)
        masks = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
        return WeightRemoval(masks, self.work)


def weight_scores(context: Context, criterion: Criterion) -> Scores:
    """One score a weight for every layer of the context's generator.

    Raises:
        ValueError: the criterion left a layer out, or gave it scores of another shape or that are not numbers.
    """
    raw = criterion(context)
    scores = {}
    for name, weight in context.weights():
        found = criterion.of_weights(raw[name]) if name in raw else None
        if found is None or found.shape != weight.shape:
            what = "nothing" if found is None else str(tuple(found.shape))
            raise ValueError(
                f"criterion {criterion.name!r} gave {what} for {name}, "
                f"expected one score a weight {tuple(weight.shape)}"
            )
        if torch.isnan(found).any():
            raise ValueError(f"criterion {criterion.name!r} gave scores for {name} that are not numbers")
        scores[name] = found
    return scores


def _without(context: Context, name: str, gone: Tensor) -> nn.Module:
    """A copy of the generator in which the weights ``gone`` (flat positions) of layer ``name`` are zero."""
    mask = torch.ones(prunable_layers(context.generator)[name].weight.shape, dtype=torch.bool)
    mask.view(-1)[gone] = False
    return WeightRemoval({name: mask}, context.work).masked(context.generator)


@dataclass(frozen=True)
class WeightGranularity:
    """Every weight by itself ("unstructured")."""

    name: str = "weight"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> WeightRanking:
        shapes = {name: weight.shape for name, weight in context.weights()}
        scores = weight_scores(context, criterion)
        flat = {name: scores[name].reshape(-1).cpu() for name in shapes}
        priorities = allocation(flat, Layout(context, dict(shapes), lambda name, gone: _without(context, name, gone)))
        if isinstance(after, WeightRemoval):
            for name, mask in after.masks.items():
                priorities[name] = priorities[name].masked_fill(~mask.reshape(-1), -torch.inf)
        joined = torch.cat([priorities[name] for name in shapes])
        order = stable_order(joined)
        return WeightRanking(order, joined[order], shapes, context.work)


weight = WeightGranularity()

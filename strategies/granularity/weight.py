"""Single weights: zeros baked into tensors of the old size, with the mask beside."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.allocation import Allocation
from strategies.baking import is_plain, plain_copy
from strategies.base import Context, Criterion, Infeasible, LayerCut, Pruned, Removal, Target
from strategies.layers import prunable_layers, widths


@dataclass(frozen=True)
class WeightRemoval:
    """Masks, True where the weight stays."""

    masks: dict[str, Tensor]
    positions: dict[str, int]

    @torch.no_grad()
    def hold(self, model: nn.Module) -> None:
        layers = prunable_layers(model)
        for name, mask in self.masks.items():
            weight = layers[name].weight
            weight.mul_(mask.to(weight.device))

    def apply(self, model: nn.Module) -> Pruned:
        pruned = copy.deepcopy(model) if is_plain(model) else plain_copy(model)
        self.hold(pruned)
        width = widths(pruned)
        cuts = tuple(
            LayerCut(
                name,
                type(layer).__name__,
                layer.weight.numel(),
                int(self.masks[name].sum()),
                width[name],
                width[name],
            )
            for name, layer in prunable_layers(pruned).items()
        )
        return Pruned(pruned, cuts, masks=self.masks)

    def sparsity(self, target: Target) -> float:
        worth = self.positions if target == "macs" else dict.fromkeys(self.masks, 1)
        kept = sum(int(mask.sum()) * worth[name] for name, mask in self.masks.items())
        return 1 - kept / sum(mask.numel() * worth[name] for name, mask in self.masks.items())


@dataclass(frozen=True)
class WeightRanking:
    """All weights of the scope in the order in which they go; ties go in the order of the layers."""

    order: Tensor
    """Positions in the concatenation of all weights, lowest priority first."""
    sorted_priorities: Tensor
    shapes: dict[str, torch.Size]
    positions: dict[str, int]

    def cut(self, sparsity: float, target: Target) -> WeightRemoval:
        """Exactly ``round(sparsity * N)`` weights go, or the prefix nearest to that share of the MACs.

        Raises:
            Infeasible: nothing would be left.
        """
        total = len(self.order)
        if target == "params":
            count, maximum = round(sparsity * total), (total - 1) / total
        else:
            worth = torch.cat([torch.full((s.numel(),), self.positions[name]) for name, s in self.shapes.items()])
            gone = torch.cumsum(worth[self.order], 0).double() / float(worth.sum())
            shares = torch.cat([torch.zeros(1), gone])
            count, maximum = int((shares - sparsity).abs().argmin()), float(shares[-2])
        if count >= total:
            raise Infeasible(sparsity, maximum, target)
        return self._first(count)

    def below(self, threshold: float) -> WeightRemoval:
        return self._first(int(torch.searchsorted(self.sorted_priorities, threshold)))

    def _first(self, count: int) -> WeightRemoval:
        flat = torch.ones(len(self.order), dtype=torch.bool)
        flat[self.order[:count]] = False
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = flat.split(sizes)
        masks = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
        return WeightRemoval(masks, self.positions)


@dataclass(frozen=True)
class WeightGranularity:
    """Every weight by itself ("unstructured")."""

    name: str = "weight"

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> WeightRanking:
        scores = criterion(context)
        shapes = {name: weight.shape for name, weight in context.weights()}
        for name, shape in shapes.items():
            if name not in scores or scores[name].shape != shape:
                found = tuple(scores[name].shape) if name in scores else "nothing"
                raise ValueError(
                    f"criterion {criterion.name!r} gave {found} for {name}, expected one score a weight {tuple(shape)}"
                )
        flat = {name: scores[name].reshape(-1).cpu() for name in shapes}
        priorities = allocation(flat)
        if isinstance(after, WeightRemoval):
            for name, mask in after.masks.items():
                priorities[name] = priorities[name].masked_fill(~mask.reshape(-1), -torch.inf)
        joined = torch.cat([priorities[name] for name in shapes])
        if torch.isnan(joined).any():
            raise ValueError(f"criterion {criterion.name!r} gave scores that are not numbers")
        values, order = torch.sort(joined, stable=True)
        return WeightRanking(order, values, shapes, context.positions)


weight = WeightGranularity()

"""How a target is split over layers.

An allocation turns scores into *priorities* that can be compared across layers; whatever has the lowest
priority goes first. So every allocation gives one nested order, and any sparsity is a prefix of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Context, Need

Priorities = dict[str, Tensor]
Scored = dict[str, Tensor]
"""Layer, or group of channels -> one score a unit, flat."""


@dataclass(frozen=True)
class Layout:
    """What an allocation may know besides the scores."""

    context: Context
    shapes: dict[str, torch.Size]
    """Shape of the layer's weight; of a group of channels, that of the first layer that makes them."""
    without: Callable[[str, Tensor], nn.Module]
    """A copy of the generator in which some units of one layer or group, by position, count for nothing."""


@dataclass(frozen=True)
class Allocation:
    """A named function from scores (one flat tensor a layer or group) to priorities of the same shapes."""

    name: str
    prioritise: Callable[[Scored, Layout], Priorities]
    formula: str
    needs: frozenset[Need] = frozenset()

    def __call__(self, scores: Scored, layout: Layout) -> Priorities:
        return self.prioritise(scores, layout)


def _global(scores: Scored, layout: Layout) -> Priorities:
    return dict(scores)  # in their own precision: it sorts faster, and the order is the same


def _global_mean(scores: Scored, layout: Layout) -> Priorities:
    tiny = torch.finfo(torch.float64).tiny
    return {name: values.double() / values.double().mean().clamp_min(tiny) for name, values in scores.items()}


def quantiles(values: Tensor) -> Tensor:
    """Of each value its place in the ascending order, from ``.5 / n`` to ``1 - .5 / n``; float64 ``(n,)``."""
    order = torch.argsort(values, stable=True)
    found = torch.empty(len(values), dtype=torch.float64)
    found[order] = (torch.arange(len(values), dtype=torch.float64) + 0.5) / len(values)
    return found


def _uniform(scores: Scored, layout: Layout) -> Priorities:
    return {name: quantiles(values) for name, values in scores.items()}


global_ = Allocation("global", _global, "priority = score, compared over all layers as it is")
global_mean = Allocation(
    "global", _global_mean, "priority = score / mean score of its group of channels, compared over all groups"
)
uniform = Allocation(
    "uniform", _uniform, "priority = quantile of the score within its layer: the same share everywhere"
)

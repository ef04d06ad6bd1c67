"""How a target is split over layers.

An allocation turns scores into *priorities* that can be compared across layers; whatever has the lowest
priority goes first. So every allocation gives one nested order, and any sparsity is a prefix of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Priorities = dict[str, Tensor]


@dataclass(frozen=True)
class Allocation:
    """A named function from scores (one flat tensor a layer or group) to priorities of the same shapes."""

    name: str
    prioritise: Callable[[dict[str, Tensor]], Priorities]
    formula: str

    def __call__(self, scores: dict[str, Tensor]) -> Priorities:
        return self.prioritise(scores)


def _global(scores: dict[str, Tensor]) -> Priorities:
    return {name: values.double() for name, values in scores.items()}


def _global_mean(scores: dict[str, Tensor]) -> Priorities:
    tiny = torch.finfo(torch.float64).tiny
    return {name: values.double() / values.double().mean().clamp_min(tiny) for name, values in scores.items()}


def _uniform(scores: dict[str, Tensor]) -> Priorities:
    priorities = {}
    for name, values in scores.items():
        order = torch.argsort(values.double(), stable=True)
        quantiles = torch.empty(len(values), dtype=torch.float64)
        quantiles[order] = (torch.arange(len(values), dtype=torch.float64) + 0.5) / len(values)
        priorities[name] = quantiles
    return priorities


global_ = Allocation("global", _global, "priority = score, compared over all layers as it is")
global_mean = Allocation(
    "global", _global_mean, "priority = score / mean score of its group of channels, compared over all groups"
)
uniform = Allocation(
    "uniform", _uniform, "priority = quantile of the score within its layer: the same share everywhere"
)

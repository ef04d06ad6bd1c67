"""How a target is split over layers.

An allocation turns scores into *priorities* that can be compared across layers; whatever has the lowest
priority goes first. So every allocation gives one nested order, and any sparsity is a prefix of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from strategies.base import Context, Need
from strategies.layers import outputs
from strategies.sorting import stable_order

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
    order = stable_order(values)
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


def _erk(scores: Scored, layout: Layout) -> Priorities:
    """A layer's density is ``min(1, e r)`` with ``r`` = sum of its dimensions / product; the unit that is ``t`` from
    the top (a share of the layer) stays while ``t <= e r``, that is, while ``r / t >= 1 / e``."""
    found = {}
    for name, values in scores.items():
        shape = layout.shapes[name]
        found[name] = (sum(shape) / shape.numel()) / (1 - quantiles(values))
    return found


def _lamp(scores: Scored, layout: Layout) -> Priorities:
    tiny = torch.finfo(torch.float64).tiny
    found = {}
    for name, values in scores.items():
        order = stable_order(values)
        squares = values[order].double() ** 2
        left = squares.flip(0).cumsum(0).flip(0)  # the unit's own square and all larger ones
        priorities = torch.empty_like(squares)
        priorities[order] = squares / left.clamp_min(tiny)
        found[name] = priorities
    return found


SENSITIVITY_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of a layer's units (one always stays) without which the output is looked at; linear in between."""

SENSITIVITY_INPUTS = 32


def _sensitivity(scores: Scored, layout: Layout) -> Priorities:
    """A unit's priority is the distance of the output to the dense one when its layer alone is pruned up to it."""
    model = layout.context.generator
    inputs = layout.context.inputs(SENSITIVITY_INPUTS)
    found = {}
    with torch.no_grad():
        dense = outputs(model, inputs)
        for name, values in scores.items():
            order = stable_order(values)
            counts = [min(round(share * len(values)), len(values) - 1) for share in SENSITIVITY_SHARES]
            seen = [0.0]
            for count in counts:
                there = outputs(layout.without(name, order[:count]), inputs)
                seen.append(max(seen[-1], float(((there - dense) ** 2).mean())))  # never less for removing more
            at = [0.0, *SENSITIVITY_SHARES]
            priorities = np.interp(quantiles(values).numpy(), at, seen)
            found[name] = torch.from_numpy(priorities)
    return found


FIRST_LAYERS_UP_TO = 0.9


def _lowfirst(scores: Scored, layout: Layout) -> Priorities:
    found = {}
    for depth, (name, values) in enumerate(scores.items()):
        place = quantiles(values)
        early = depth + place / FIRST_LAYERS_UP_TO
        found[name] = torch.where(place < FIRST_LAYERS_UP_TO, early, len(scores) + place)
    return found


erk = Allocation(
    "erk",
    _erk,
    "density ~ sum of the layer's dimensions / their product (Mocanu et al. 2018; Evci et al. 2020), at most 1",
)
lamp = Allocation(
    "lamp",
    _lamp,
    "priority = s_u^2 / sum of s_v^2 over all v >= u of its layer (Lee et al. 2021)",
)
sensitivity_ = Allocation(
    "sensitivity",
    _sensitivity,
    "priority = mean squared distance to the dense output with its layer alone pruned up to the unit",
    frozenset({"inputs"}),
)
lowfirst = Allocation(
    "lowfirst",
    _lowfirst,
    "layers from the input on, each up to 90 %, then the rest of all of them at the same share",
)

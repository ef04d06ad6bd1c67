"""The same share of the weights that make each output."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.allocation import Allocation, Layout, Priorities, Scored
from strategies.base import NotApplicable
from strategies.layers import prunable_layers
from strategies.rows import from_rows, to_rows


def _per_output(scores: Scored, layout: Layout) -> Priorities:
    """Quantiles within the weights of one output channel, of a grouped layer too.

    Raises:
        NotApplicable: the units are no single weights.
    """
    layers = prunable_layers(layout.context.generator)
    found = {}
    for name, values in scores.items():
        shape = layout.shapes[name]
        if len(values) != shape.numel():
            raise NotApplicable("what makes one output is ranked by itself: that takes single weights")
        rows = to_rows(values.view(shape), layers[name])
        places = quantiles_of_rows(rows.flatten(2)).view_as(rows)
        found[name] = from_rows(places, layers[name], shape).flatten()
    return found


def quantiles_of_rows(values: Tensor) -> Tensor:
    """Of each value its place in the ascending order of its last dimension, from ``.5 / n`` to ``1 - .5 / n``."""
    size = values.shape[-1]
    places = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    order = torch.argsort(values, dim=-1, stable=True)
    return torch.empty(values.shape, dtype=torch.float64).scatter_(-1, order, places.expand_as(order))


peroutput = Allocation(
    "peroutput",
    _per_output,
    "priority = quantile of the score within the weights that make one output: the same share of each",
)

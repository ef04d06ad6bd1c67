"""Filters compared with the other filters of their layer."""

from __future__ import annotations

import torch

from strategies.base import Context, Scores
from strategies.criteria.registry import criterion
from strategies.layers import out_dim, prunable_layers


@criterion("fpgm", source="He et al. 2019 (FPGM)", formula="sum_j ||F_i - F_j||_2 over the layer's filters")
def fpgm(context: Context) -> Scores:
    """Sum of a filter's distances to the others: the filter nearest to the geometric median goes first.

    Needs nothing but the weights.

    Returns:
        One score for each channel of each layer, float64 ``(out,)``.
    """
    layers = prunable_layers(context.generator)
    filters = {n: w.double().movedim(out_dim(layers[n]), 0).flatten(1) for n, w in context.weights()}
    # Differences first, not the faster expansion of the square: equal filters must be at distance 0.
    exact = "donot_use_mm_for_euclid_dist"
    return {name: torch.cdist(rows, rows, compute_mode=exact).sum(1) for name, rows in filters.items()}

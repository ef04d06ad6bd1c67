"""Controls: the layer densities of magnitude pruning, with the places inside each layer left to chance."""

from __future__ import annotations

import torch

from strategies.base import Context, Scores
from strategies.criteria.registry import criterion
from strategies.layers import out_dim, prunable_layers


@criterion(
    "shuffled",
    source="control: Frankle et al. 2021, a mask shuffled inside each layer",
    formula="|w|, permuted inside each layer",
    random=True,
)
def shuffled(context: Context) -> Scores:
    """Magnitudes dealt out anew among the weights of their layer by the `prune` stream.

    A threshold over all layers removes of each as many weights as `l1` does, at random places. A strategy that is
    no better than this control has found how much to take from each layer, not which weights. Needs nothing else.
    Filters made of dealt-out weights are all alike: for channels use `shuffledfilters`.
    """
    scores = {}
    for name, weight in context.weights():
        places = torch.randperm(weight.numel(), generator=context.rng).to(weight.device)
        scores[name] = weight.abs().flatten()[places].view(weight.shape)
    return scores


@criterion(
    "shuffledfilters",
    source="control: Frankle et al. 2021, for whole filters",
    formula="sum |w| of a filter, permuted inside each layer",
    random=True,
)
def shuffledfilters(context: Context) -> Scores:
    """L1 norms of the filters dealt out anew among the channels of their layer by the `prune` stream.

    Needs nothing else.

    Returns:
        One score for each channel of each layer, float64 ``(out,)``.
    """
    layers = prunable_layers(context.generator)
    scores = {}
    for name, weight in context.weights():
        norms = weight.double().abs().movedim(out_dim(layers[name]), 0).flatten(1).sum(1)
        scores[name] = norms[torch.randperm(len(norms), generator=context.rng).to(weight.device)]
    return scores

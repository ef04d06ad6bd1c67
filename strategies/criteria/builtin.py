"""Criteria that look at the weights alone."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from strategies.base import Context, NotApplicable, Scores, root_of_sum
from strategies.criteria.registry import criterion


@criterion("random", source="control", formula="U(0, 1)", random=True)
def random(context: Context) -> Scores:
    """A uniform random number for each weight: the control that every other score must beat.

    Channels get the sum over their weights, which is random as well and concentrates around the same mean;
    the order within a layer, which is all that counts there, is uniform.
    """
    return {
        name: torch.rand(weight.shape, generator=context.rng, dtype=torch.float64) for name, weight in context.weights()
    }


@criterion("l1", source="Han et al. 2015 (weights); Li et al. 2017 (filters)", formula="|w|; filters: sum |w|")
def l1(context: Context) -> Scores:
    """Magnitude ``|w|``; a channel has the L1 norm of the filter that makes it."""
    return {name: weight.abs() for name, weight in context.weights()}


@criterion(
    "rownorm",
    source="row pruning by an absolute threshold; L2 norm of a filter as in Li et al. 2017",
    formula="||W_row||_2",
    reduce=root_of_sum,
)
def rownorm(context: Context) -> Scores:
    """``w ** 2``; a channel has the L2 norm of its row (linear layer) or filter, in the units of the weights."""
    return {name: weight.double() ** 2 for name, weight in context.weights()}


@criterion("bnscale", source="Liu et al. 2017 (Network Slimming)", formula="|gamma|")
def bnscale(context: Context) -> Scores:
    """The magnitude of the BatchNorm scale behind each channel.

    Returns:
        One score for each channel of each BatchNorm, keyed by the BatchNorm's name.

    Raises:
        NotApplicable: the generator has no BatchNorm with a scale.
    """
    scores = {
        name: module.weight.detach().abs()
        for name, module in context.generator.named_modules()
        if isinstance(module, _BatchNorm) and module.affine
    }
    if not scores:
        raise NotApplicable("the generator has no BatchNorm, so there is no scale to rank channels by")
    return scores

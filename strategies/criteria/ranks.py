"""Criteria made of other criteria."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, Scores
from strategies.criteria.gradients import adversarial_loss, mean_gradients
from strategies.criteria.registry import criterion

SHARE = 0.5
"""The weight of the magnitude's rank; the gradient's has the rest."""


@criterion(
    "hybrid",
    source="weighted ranks of magnitude and gradient",
    formula=".5 rank(|w|) + .5 rank(|g|), g = dL/dw, ranks over all weights; filters: sum; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
)
def hybrid(context: Context) -> Scores:
    """Half the rank of ``|w|`` plus half the rank of ``|dL/dw|``, both among all weights of the generator.

    Ranks, from 0 to 1, have no scale, so neither of the two drowns the other; equal values share the mean of their
    ranks. A channel has the sum over its filter. 8 batches of 32 latents, eval mode. Needs: inputs, discriminator.
    """
    weights, gradients = mean_gradients(context, adversarial_loss(context))
    large, steep = ranks(weights), ranks(gradients)
    return {name: SHARE * large[name] + (1 - SHARE) * steep[name] for name in weights}


def ranks(values: Scores) -> Scores:
    """Of each magnitude its place among all, in (0, 1), float64; equal ones have the mean of their places."""
    joined = torch.cat([v.abs().flatten() for v in values.values()])
    _, place, counts = torch.unique(joined, return_inverse=True, return_counts=True)
    middle: Tensor = (counts.cumsum(0) - counts / 2).double() / len(joined)
    parts = middle[place].split([v.numel() for v in values.values()])
    return {name: part.view(v.shape) for (name, v), part in zip(values.items(), parts, strict=True)}

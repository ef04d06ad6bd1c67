"""How far a weight's removal moves the output away from the dense generator's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from strategies.base import Context, Scores, square_of_sum, squared
from strategies.criteria.gradients import Differentiable, Inputs, input_batches
from strategies.criteria.registry import criterion

LATENTS = 256
MOST, LEAST = 32, 4
"""Projections of a small and of a large generator."""
BYTES = 2**29


@criterion(
    "reconstruct",
    source="distance to the dense output, second order; random projections as in Hutchinson 1990",
    formula="E_z ||J w||^2 = E[(w v'J)^2], J = dG(z)/dw, v = +-1; channels: E[(sum w v'J)^2] over what reads it",
    needs={"inputs"},
    reduce=square_of_sum,
    unit=squared,
    draws=True,
    reads=True,
)
def reconstruct(context: Context) -> Scores:
    """Squared distance to the dense output when a weight, or a whole channel, becomes zero, to second order.

    The distance is zero at the dense network and has its minimum there, so its first-order Taylor term vanishes.
    The first that does not is ``||J w||^2`` (Gauss-Newton), and a random vector ``v`` of +-1 estimates it without
    bias from one backward pass: ``E_v[(v'J w)^2] = ||J w||^2``. 256 latents, eval mode. Needs: inputs.

    Returns:
        ``w * v'J`` of each projection, ``(projections, *weight.shape)``: 32, or fewer where they would take more
        than 512 MiB, but at least 4.
    """
    size = sum(4 * weight.numel() for _, weight in context.weights())
    count = max(LEAST, min(MOST, BYTES // size))
    return projected(context, count, LATENTS // count)


def projected(context: Context, count: int, size: int) -> Scores:
    """``w * v'J`` for ``count`` random ``v``, each over a batch of ``size`` latents and divided by its root.

    Every sample has signs of its own, so the square is, in the mean, the mean over the batch's latents.
    """
    net = Differentiable.of(context)
    values = net.values()
    found = {name: weight.new_empty(count, *weight.shape) for name, weight in values.items()}
    for k, batch in enumerate(input_batches(context, count, size)):

        def project(images: Tensor, _: Inputs) -> Tensor:
            signs = 2 * torch.randint(0, 2, images.shape, generator=context.rng) - 1
            return (images * signs.to(images)).sum() / math.sqrt(size)

        for name, gradient in net.gradients(batch, project).items():
            torch.mul(values[name], gradient, out=found[name][k])
    return found

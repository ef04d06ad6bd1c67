"""Which weights make the content of the images (after CAGC)."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, Scores
from strategies.criteria.gradients import Differentiable, Inputs, input_batches, mean
from strategies.criteria.registry import criterion

NOISE = 0.05
"""Share of the content's pixels that become salt or pepper, as the authors' code has it."""


def mean_of(values: Tensor) -> Tensor:
    """Channel score = mean over its weights: ``(channels, weights) -> (channels,)``."""
    return values.mean(1)


@criterion(
    "content",
    source="Liu et al. 2021 (CAGC), content = what is brighter than the image's mean instead of a parsed face",
    formula="E|d||x_noisy - x||_1 / dw|, x_noisy = x with 5 % salt and pepper inside the content; filters: mean",
    needs={"inputs"},
    reduce=mean_of,
)
def content(context: Context) -> Scores:
    """Gradient that noise inside the content sends to a weight: weights that only paint the background go first.

    The paper's content mask comes from a face parser. Here a pixel is content where its mean over the colours
    is above the image's mean, which on digits is the stroke; images must be in [-1, 1], dark background. Salt
    and pepper are 1 and -1, the same in all colours. 8 batches of 32 latents, eval mode. Needs: inputs.
    """
    net = Differentiable.of(context)

    def distance(images: Tensor, _: Inputs) -> Tensor:
        return (noisy(images.detach(), context.rng) - images).abs().sum() / len(images)

    batches = input_batches(context)
    return mean({name: g.abs() for name, g in net.gradients(batch, distance).items()} for batch in batches)


def noisy(images: Tensor, rng: torch.Generator) -> Tensor:
    """``images`` with salt (1) or pepper (-1) on about 5 % of the pixels that are brighter than their image's mean."""
    grey = images.mean(1, keepdim=True) if images.ndim > 2 else images
    bright = grey > grey.flatten(1).mean(1).view(-1, *[1] * (grey.ndim - 1))
    hit = torch.rand(grey.shape, generator=rng).to(grey.device) < NOISE
    salt = (2 * torch.randint(0, 2, grey.shape, generator=rng) - 1).to(grey)
    return torch.where(bright & hit, salt, images)

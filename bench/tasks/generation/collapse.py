"""When the images of a generator are worth nothing: a property of the images, whatever a judge makes of them.

A judge cannot say it: a network that learnt white digits on black names every digit on a grey ground alike, and its
Inception Score is then that of one image. So images are compared with each other, and with what dense draws.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST_DIVERSITY = 0.1
"""Images whose `diversity` is below this share of dense's all look alike.

Looked at: the cells of ``quick`` at .5 to .9 and some between them, sixteen images each, as grey levels on a screen.
The most diverse of those in which one image cannot be told from the next has a share of 0.083 (``mnist-mlp``, random
weights at .7), the least diverse with a digit that can be read has 0.111 (random channels at .86). Their geometric
mean is 0.096. A tenth of the amplitude is a hundredth of dense's variance."""

CHUNK = 64
"""Images that are looked at together, to bound the memory."""


def diversity(images: Tensor) -> float:
    """How far images differ from each other, in grey levels; 0 where all are the same but for their brightness.

    The root of the mean square, over images and values, of what is left of an image without its own mean (images that
    differ in brightness alone look alike) and without the mean of all images.

    Args:
        images: uint8 ``(N, C, H, W)``; ``N`` of 1 or more.
    """
    values = images.flatten(1)
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)
    for part in values.split(CHUNK):
        centred = part.double() - part.double().mean(1, keepdim=True)
        total += centred.sum(0)
        squares += centred.square().sum()
    among = float(squares) / values.numel() - float((total / len(values)).square().mean())
    return math.sqrt(max(among, 0.0))


def constant(images: Tensor) -> bool:
    """Whether all images are the same, or each is of one value."""
    flat = images.flatten(1)
    return bool((images == images[:1]).all()) or bool((flat == flat[:, :1]).all())


def collapse(images: Tensor, finite: bool, dense: Tensor | None) -> str:
    """Why images are worth nothing; empty where they are not.

    Args:
        images: uint8 ``(N, C, H, W)``.
        finite: whether the output that they were made of was.
        dense: the images of dense of the same inputs, or of the first of them; None: there is nothing to compare with.
    """
    if not finite:
        return "the generator's output is not finite"
    if constant(images):
        return "every image is the same constant"
    of_dense = 0.0 if dense is None else diversity(dense)
    if dense is None or of_dense == 0:  # dense has itself no diversity of which this could be a share
        return ""
    share = diversity(images[: len(dense)]) / of_dense
    if share < LEAST_DIVERSITY:
        return (
            f"the images differ from each other by {share:.3f} of what dense's do, below {LEAST_DIVERSITY:g}: "
            "all images look alike"
        )
    return ""

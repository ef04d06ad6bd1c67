"""Which channels tell latents apart (after DCP-GAN)."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, Scores
from strategies.criteria.gradients import Differentiable, Inputs, input_batches, mean
from strategies.criteria.registry import criterion
from strategies.layers import out_dim, prunable_layers

DIRECTIONS = 10
"""Moves of each batch of latents, as the authors' code has it."""
STRENGTH = 2.0
"""Length of a move in standard deviations of the latents along it."""
NEVER_ZERO = 1e-9
"""Added to each direction's odds, so that enough can be drawn also where few of them move anything."""
SURVEY, BATCHES, BATCH = 16, 4, 16
"""Batches that the directions are found on, and batches that are moved."""


@criterion(
    "diversity",
    source="Chung et al. 2024 (DCP-GAN), directions from the first layer instead of StyleGAN's W space",
    formula="Var_d(mean|d||G(z + a d) - G(z)||_1 / dF_c|), mean over batches; d = principal directions of the latents",
    needs={"inputs"},
)
def diversity(context: Context) -> Scores:
    """How differently a filter is called upon when latents move in different directions; steady filters go first.

    The paper moves StyleGAN's ``w`` along its principal components. Here the latents (the first input that is not a
    label) are moved along the directions that move the first layer's output most: the left singular vectors of the
    covariance between the two, which for a linear first layer and white latents are the output's principal
    components pulled back. Up to 10 different directions are drawn for each batch, with the variance as the odds;
    a move is two standard deviations long. The gradient goes through ``G(z)`` alone. 4 batches of 16 latents, eval
    mode. Needs: inputs.

    Returns:
        One score for each channel of each layer, ``(out,)``. With a single output value all are 0.
    """
    net = Differentiable.of(context)
    layers = prunable_layers(net.model)
    drawn = input_batches(context, SURVEY + BATCHES, BATCH)
    directions, variances = principal_moves(net, drawn[:SURVEY])
    count = min(DIRECTIONS, len(directions))

    def called(batch: Inputs, direction: Tensor) -> Scores:
        with torch.no_grad():
            moved = net.model(*move(batch, direction))
        gradients = net.gradients(batch, lambda images, _: (images - moved).abs().sum() / len(images))
        return {n: g.abs().movedim(out_dim(layers[n]), 0).flatten(1).mean(1).double() for n, g in gradients.items()}

    def variation(batch: Inputs) -> Scores:
        chosen = torch.multinomial(variances, count, generator=context.rng).tolist()
        found = [called(batch, directions[k]) for k in chosen]
        return {name: torch.stack([scores[name] for scores in found]).var(0, correction=0) for name in layers}

    return mean(variation(batch) for batch in drawn[SURVEY:])


def _latent(batch: Inputs) -> int:
    """The place of the first input that can be moved: labels come as whole numbers."""
    return next(k for k, x in enumerate(batch) if x.is_floating_point())


def move(batch: Inputs, direction: Tensor) -> Inputs:
    """The batch with its latents `STRENGTH` standard deviations further along the unit vector ``direction``."""
    k = _latent(batch)
    length = STRENGTH * (batch[k].flatten(1) @ direction).std(correction=0)
    return (*batch[:k], batch[k] + length * direction.view_as(batch[k][0]), *batch[k + 1 :])


def principal_moves(net: Differentiable, batches: list[Inputs]) -> tuple[Tensor, Tensor]:
    """Unit directions of the latents ``(n, latent)`` and the share, ``(n,)``, of the first layer's variance.

    The shares are on the CPU, where they are drawn from.
    """
    seen: list[Tensor] = []
    layer = next(iter(prunable_layers(net.model).values()))
    handle = layer.register_forward_hook(lambda m, i, o: seen.append(o.flatten(1)))
    with torch.no_grad():
        for batch in batches:
            net.model(*batch)
    handle.remove()
    latents = torch.cat([batch[_latent(batch)].flatten(1) for batch in batches])
    features = torch.cat(seen)
    covariance = (latents - latents.mean(0)).double().T @ (features - features.mean(0)).double()
    # On the CPU whatever the device: the sign of an eigenvector is free, and libraries choose it differently.
    values, vectors = torch.linalg.eigh((covariance @ covariance.T).cpu())
    spread = values.clamp_min(0)
    shares = spread / spread.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return vectors.T.to(latents), shares + NEVER_ZERO

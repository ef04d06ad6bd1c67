"""What the generator's adversarial loss says about a weight.

The loss is the same everywhere here: ``L = -E[log D(G(z))]``, computed as ``softplus(-D(G(z)))`` of the logits, with
both networks in eval mode, over 8 batches of 32 latents of the `prune` stream.
"""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, Scores, square_of_sum, squared
from strategies.criteria.gradients import (
    Differentiable,
    adversarial_loss,
    input_batches,
    mean,
    mean_gradients,
    products,
)
from strategies.criteria.registry import criterion

FISHER_SAMPLES = 64


def norm_of(values: Tensor) -> Tensor:
    """Channel score = L2 norm of its weights' values: ``(channels, weights) -> (channels,)``."""
    found: Tensor = torch.linalg.vector_norm(values, dim=1)
    return found


@criterion(
    "grad",
    source="gradient magnitude, a baseline in Blalock et al. 2020",
    formula="|g|, g = dL/dw; filters: ||g||_2; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
    reduce=norm_of,
)
def grad(context: Context) -> Scores:
    """Magnitude of the loss's gradient; a channel has the L2 norm of its filter's gradient.

    Needs: inputs, discriminator. Raises `MissingData` without them.
    """
    return {name: g.abs() for name, g in mean_gradients(context, adversarial_loss(context))[1].items()}


@criterion(
    "snip",
    source="Lee et al. 2019 (SNIP), made for initialisation, here applied after training",
    formula="|w g|, g = dL/dw; filters: sum |w g|; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
)
def snip(context: Context) -> Scores:
    """Connection sensitivity ``|w dL/dw|``. The paper divides by the total, which changes no order.

    Needs: inputs, discriminator. Raises `MissingData` without them.
    """
    weights, gradients = mean_gradients(context, adversarial_loss(context))
    return {name: (weights[name] * g).abs() for name, g in gradients.items()}


@criterion(
    "taylor",
    source="Molchanov et al. 2019, first order",
    formula="E[(w g)^2], g = dL/dw of a batch; channels: E[(sum w g)^2] over what reads it; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
    reduce=square_of_sum,
    unit=squared,
    draws=True,
    reads=True,
)
def taylor(context: Context) -> Scores:
    """Squared first-order change of the loss when a weight, or a whole channel, becomes zero; mean over batches.

    The sum over the weights that read a channel is the gradient of a gate on it (Molchanov's, behind the norm).
    Needs: inputs, discriminator.

    Returns:
        ``w * g`` of each batch, ``(8, *weight.shape)``.
    """
    return products(context, adversarial_loss(context))


@criterion(
    "fisher",
    source="LeCun et al. 1990 (Optimal Brain Damage), the Hessian's diagonal by the empirical Fisher",
    formula="E[g^2] w^2 / 2, g = dL/dw of one sample; filters: sum; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
)
def fisher(context: Context) -> Scores:
    """Second-order change of the loss, with the mean squared gradient in the place of the curvature.

    The gradients are those of single samples, `FISHER_SAMPLES` of them: a batch's mean gradient squared would
    measure the slope, not the curvature. Needs: inputs, discriminator.
    """
    net, loss = Differentiable.of(context), adversarial_loss(context)
    samples = input_batches(context, FISHER_SAMPLES, 1)
    squares = mean({name: g.double() ** 2 for name, g in net.gradients(z, loss).items()} for z in samples)
    return {name: squares[name] * weight.double() ** 2 / 2 for name, weight in net.values().items()}


@criterion(
    "grasp",
    source="Wang et al. 2020 (GraSP), made for initialisation, here applied after training",
    formula="w (Hg), g = dL/dw, H its Hessian; filters: sum; L = -E[log D(G(z))]",
    needs={"inputs", "discriminator"},
)
def grasp(context: Context) -> Scores:
    """First-order loss of gradient flow ``g'g / 2`` when a weight becomes zero: negative where removing it helps.

    The paper scores ``-w (Hg)`` and removes the highest; here low goes first, so the sign is the other one.
    Scores can be negative. Needs: inputs, discriminator.
    """
    net, loss = Differentiable.of(context), adversarial_loss(context)
    batches = input_batches(context)
    slope = mean(net.gradients(batch, loss) for batch in batches)

    def curvature(batch: tuple[Tensor, ...]) -> Scores:
        with torch.enable_grad():
            found = net.gradients(batch, loss, create_graph=True)
            along = torch.stack([(slope[name] * g).sum() for name, g in found.items()]).sum()
            return net.differentiate(along)

    product = mean(curvature(batch) for batch in batches)
    return {name: weight * product[name] for name, weight in net.values().items()}

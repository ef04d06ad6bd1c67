"""What the discriminator's verdict says about a weight."""

from __future__ import annotations

from strategies.base import Context, Scores, square_of_sum, squared
from strategies.criteria.gradients import critic_loss, products
from strategies.criteria.registry import criterion


@criterion(
    "dguided",
    source="discriminator-guided: Molchanov et al. 2019 with the trained D as judge, after Yu & Pool 2020",
    formula="E[(w g)^2], g = dL/dw of a batch; channels: E[(sum w g)^2] over what reads it; L = -E[D(G(z))]",
    needs={"inputs", "discriminator"},
    reduce=square_of_sum,
    unit=squared,
    draws=True,
    reads=True,
)
def dguided(context: Context) -> Scores:
    """Squared first-order change of D's logit when a weight, or a whole channel, becomes zero; mean over batches.

    Unlike the adversarial loss, the logit does not flatten out where D is already convinced: every latent counts
    the same. 8 batches of 32 latents, eval mode. Needs: inputs, discriminator.

    Returns:
        ``w * g`` of each batch, ``(8, *weight.shape)``.
    """
    return products(context, critic_loss(context))

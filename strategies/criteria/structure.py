"""Scores of whole blocks and of pairs of layers."""

from __future__ import annotations

import torch

from strategies.base import Context, NotApplicable, Scores
from strategies.criteria.registry import criterion
from strategies.granularity.block import removable_blocks
from strategies.granularity.share import ARROW, shareable
from strategies.keeping import OF_DISCRIMINATOR
from strategies.layers import named_weights, outputs
from strategies.slicing import bypass

INPUTS = 32


@criterion(
    "unlike",
    source="parameter sharing between layers, the most alike first",
    formula="||W_b - W_a||^2 / (||W_a||^2 + ||W_b||^2), of D's layers transposed",
)
def unlike(context: Context) -> Scores:
    """How far two layers that may share their weight are from each other: 0 where equal, about 1 where unrelated.

    Returns:
        One score for each pair, ``()``, keyed ``later<-earlier`` or ``layer<-discriminator:layer``.
    """
    layers = dict(context.weights())
    theirs = dict(named_weights(context.discriminator)) if context.discriminator is not None else {}
    pairs = shareable(context.generator, None)
    pairs += shareable(context.generator, context.discriminator) if context.discriminator is not None else ()
    found = {}
    for pair in pairs:
        name, owner = pair.split(ARROW)
        mine = layers[name].double()
        other = theirs[owner.removeprefix(OF_DISCRIMINATOR)].T if owner.startswith(OF_DISCRIMINATOR) else layers[owner]
        other = other.double()
        size = (mine**2).sum() + (other**2).sum()
        found[pair] = ((mine - other) ** 2).sum() / size.clamp_min(torch.finfo(torch.float64).tiny)
    return found


@criterion(
    "removal",
    source="sensitivity sweep over removable blocks, as in layer pruning of residual networks",
    formula="mean (G_without_block(z) - G(z))^2",
    needs={"inputs"},
)
def removal(context: Context) -> Scores:
    """The mean squared distance of the output to the dense one when a block alone is the identity, over 32 inputs.

    Returns:
        One score for each removable block, ``(1,)``, keyed by its name.

    Raises:
        NotApplicable: no block can be left out.
    """
    blocks = removable_blocks(context.generator, context.example_inputs)
    if not blocks:
        raise NotApplicable("no block or layer gives back the shape that it takes, so none can be left out")
    inputs = context.inputs(INPUTS)
    with torch.no_grad():
        dense = outputs(context.generator, inputs)
        return {
            name: ((outputs(bypass(context.generator, (name,)), inputs) - dense) ** 2).mean()[None] for name in blocks
        }

"""What the output loses when a block alone is left out."""

from __future__ import annotations

import torch

from strategies.base import Context, NotApplicable, Scores
from strategies.criteria.registry import criterion
from strategies.granularity.block import removable_blocks
from strategies.layers import outputs
from strategies.slicing import bypass

INPUTS = 32


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

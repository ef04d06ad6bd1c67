"""How much a layer matters, measured by pruning it alone."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, Scores
from strategies.criteria.gradients import frozen, input_batches
from strategies.criteria.registry import criterion
from strategies.layers import prunable_layers
from strategies.sorting import stable_order

BATCHES, BATCH = 2, 32
SHARE = 0.5


@criterion(
    "sensitivity",
    source="sensitivity analysis by pruning one layer at a time, as in Han et al. 2015 and Li et al. 2017",
    formula="|w| d_l / (sum of |w| removed), d_l = mean squared distance to the dense output with half of l gone",
    needs={"inputs"},
)
def sensitivity(context: Context) -> Scores:
    """Magnitude in units of measured damage: ``|w|`` times what the removed magnitude of its layer cost.

    Each layer alone loses the smaller half of its weights (of those that are not zero, at least one); ``d_l`` is
    the mean squared distance of the output to the dense one on 64 latents, eval mode. A channel has the sum over
    its filter. Needs: inputs.
    """
    model = frozen(context.generator, context.device)
    batches = input_batches(context, BATCHES, BATCH)
    with torch.no_grad():
        dense = [model(*batch) for batch in batches]
        scores = {}
        for name, layer in prunable_layers(model).items():
            whole = layer.weight.clone()
            gone = smaller_half(whole)
            layer.weight[gone] = 0.0
            far = torch.stack([((model(*z) - x).double() ** 2).mean() for z, x in zip(batches, dense, strict=True)])
            layer.weight.copy_(whole)
            removed = whole[gone].double().abs().sum().clamp_min(torch.finfo(torch.float64).tiny)
            scores[name] = whole.double().abs() * far.mean() / removed
    return scores


def smaller_half(weight: Tensor) -> Tensor:
    """True for the smaller half of the entries that are not zero: at least one, unless all are zero."""
    flat = weight.abs().flatten()
    alive = int((flat > 0).sum())
    order = stable_order(flat)
    zeros = len(flat) - alive
    chosen = torch.zeros(len(flat), dtype=torch.bool, device=weight.device)
    chosen[order[zeros : zeros + max(1, int(SHARE * alive))]] = True
    return chosen.view(weight.shape)

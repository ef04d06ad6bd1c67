"""What all granularities do alike: find the prefix nearest to a target, and say what was removed where."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.base import Infeasible, Target
from strategies.cut import LayerCut
from strategies.layers import holders, layer_uses, ties, widths
from strategies.work import Work


def nearest(shares: NDArray[np.float64], sparsity: float, target: Target) -> int:
    """How many units to remove: ``shares[k]`` of the target is gone without the first k. Raises `Infeasible`."""
    if sparsity > shares[-1]:
        raise Infeasible(sparsity, float(shares[-1]), target)
    return int(np.abs(shares - sparsity).argmin())


def masked_share(masks: Mapping[str, Tensor], work: Work, target: Target) -> float:
    """The share of weights, or of all multiplications, that goes where masks are zero or False."""
    worth = {name: work.per_entry(name) if target == "macs" else 1 for name in masks}
    kept = sum(int(mask.count_nonzero()) * worth[name] for name, mask in masks.items())
    stays = work.outside if target == "macs" else 0
    return 1 - (kept + stays) / (sum(mask.numel() * worth[name] for name, mask in masks.items()) + stays)


def layer_cuts(
    dense: nn.Module,
    pruned: nn.Module,
    kept: Mapping[str, int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> tuple[LayerCut, ...]:
    """Layer by layer what was there and what is left; a layer that ``pruned`` lacks is gone.

    A weight that several layers use is counted with the first of them; the others have 0 weights, and a note.

    Args:
        kept: weight entries that count as left, where that is not the size of the layer's weight.
        notes: why a layer stayed dense, or where its weight comes from.
    """
    kept, notes = kept or {}, dict(notes or {})
    before, after, left = widths(dense), widths(pruned), layer_uses(pruned)
    held, owners = holders(dense), ties(dense)
    notes |= {name: f"uses the weight of {owner}, which is counted there" for name, owner in owners.items()}
    cuts = []
    for name, layer in layer_uses(dense).items():
        weights, stays = 0, 0
        if name not in owners:
            weights = layer.weight.numel()
            stays = next((left[other].weight.numel() for other in held[name] if other in left), 0)
        width, now = before[name], after.get(name, (0, 0))
        cuts.append(
            LayerCut(name, type(layer).__name__, weights, kept.get(name, stays), width, now, notes.get(name, ""))
        )
    return tuple(cuts)

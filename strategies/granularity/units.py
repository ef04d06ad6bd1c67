"""What all granularities do alike: find the prefix nearest to a target, and say what was removed where."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.base import Infeasible, Target
from strategies.cut import LayerCut
from strategies.layers import prunable_layers, widths


def nearest(shares: NDArray[np.float64], sparsity: float, target: Target) -> int:
    """How many units to remove: ``shares[k]`` of the target is gone without the first k. Raises `Infeasible`."""
    if sparsity > shares[-1]:
        raise Infeasible(sparsity, float(shares[-1]), target)
    return int(np.abs(shares - sparsity).argmin())


def masked_share(masks: Mapping[str, Tensor], positions: Mapping[str, int], target: Target) -> float:
    """The share of weights, or of multiplications, where masks are zero or False."""
    worth = positions if target == "macs" else dict.fromkeys(masks, 1)
    kept = sum(int(mask.count_nonzero()) * worth[name] for name, mask in masks.items())
    return 1 - kept / sum(mask.numel() * worth[name] for name, mask in masks.items())


def layer_cuts(
    dense: nn.Module,
    pruned: nn.Module,
    kept: Mapping[str, int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> tuple[LayerCut, ...]:
    """Layer by layer what was there and what is left; a layer that ``pruned`` lacks is gone.

    Args:
        kept: weight entries that count as left, where that is not the size of the layer's weight.
        notes: why a layer stayed dense, or where its weight comes from.
    """
    kept, notes = kept or {}, notes or {}
    before, after, left = widths(dense), widths(pruned), prunable_layers(pruned)
    return tuple(
        LayerCut(
            name,
            type(layer).__name__,
            layer.weight.numel(),
            kept.get(name, left[name].weight.numel() if name in left else 0),
            before[name],
            after.get(name, (0, 0)),
            notes.get(name, ""),
        )
        for name, layer in prunable_layers(dense).items()
    )

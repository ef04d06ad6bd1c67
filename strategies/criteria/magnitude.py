"""Magnitudes of the weights beyond `l1`."""

from __future__ import annotations

from strategies.base import Context, Scores, root_of_sum
from strategies.criteria.registry import criterion


@criterion(
    "l2",
    source="Han et al. 2015 (weights); He et al. 2018, Soft Filter Pruning (filters)",
    formula="w^2; filters: ||W||_2",
    reduce=root_of_sum,
)
def l2(context: Context) -> Scores:
    """``w ** 2``, which orders single weights as `l1` does; a channel has the L2 norm of the filter that makes it.

    Needs nothing but the weights.
    """
    return {name: weight.double() ** 2 for name, weight in context.weights()}

"""What numbers allow to be said: estimates, intervals, corrections, ranks, dominated areas. numpy and scipy only."""

from __future__ import annotations

from bench.statistics.components import Difference, estimated
from bench.statistics.estimates import (
    Estimate,
    Prior,
    fit_prior,
    holm_levels,
    moderated,
    paired,
    trigamma_inverse,
    welch,
)
from bench.statistics.families import Simultaneous, above, adjusted, below, between
from bench.statistics.hypervolume import hypervolume
from bench.statistics.images import Contributions, difference
from bench.statistics.intervals import Interval, holm, paired_p, same, t_interval
from bench.statistics.ranks import kendall, mean_ranks, spearman

__all__ = [
    "Contributions",
    "Difference",
    "Estimate",
    "Interval",
    "Prior",
    "Simultaneous",
    "above",
    "adjusted",
    "below",
    "between",
    "difference",
    "estimated",
    "fit_prior",
    "holm",
    "holm_levels",
    "hypervolume",
    "kendall",
    "mean_ranks",
    "moderated",
    "paired",
    "paired_p",
    "same",
    "spearman",
    "t_interval",
    "trigamma_inverse",
    "welch",
]

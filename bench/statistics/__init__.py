"""What numbers allow to be said: estimates, intervals, corrections, ranks, dominated areas. numpy and scipy only."""

from __future__ import annotations

from bench.statistics.best import Standing, among_best
from bench.statistics.components import NO_EXCESS, Difference, estimate_of, estimated
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
from bench.statistics.families import Simultaneous, above, adjusted, below, between, first_levels
from bench.statistics.hypervolume import hypervolume
from bench.statistics.images import Contributions, Variance, difference
from bench.statistics.intervals import Interval, holm, paired_p, same, t_interval
from bench.statistics.power import Design, Needed, Spread, needed, reach, tellable, tells
from bench.statistics.ranks import kendall, mean_ranks, spearman

__all__ = [
    "NO_EXCESS",
    "Contributions",
    "Design",
    "Difference",
    "Estimate",
    "Interval",
    "Needed",
    "Prior",
    "Simultaneous",
    "Spread",
    "Standing",
    "Variance",
    "above",
    "adjusted",
    "among_best",
    "below",
    "between",
    "difference",
    "estimate_of",
    "estimated",
    "first_levels",
    "fit_prior",
    "holm",
    "holm_levels",
    "hypervolume",
    "kendall",
    "mean_ranks",
    "moderated",
    "needed",
    "paired",
    "paired_p",
    "reach",
    "same",
    "spearman",
    "t_interval",
    "tellable",
    "tells",
    "trigamma_inverse",
    "welch",
]

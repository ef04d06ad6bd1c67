"""What numbers allow to be said: intervals, paired tests, corrections, ranks, dominated areas. numpy and scipy only."""

from __future__ import annotations

from bench.statistics.hypervolume import hypervolume
from bench.statistics.images import Contributions, difference
from bench.statistics.intervals import Interval, holm, paired_p, same, t_interval
from bench.statistics.ranks import kendall, mean_ranks, spearman

__all__ = ["Contributions", "Interval", "difference", "holm", "hypervolume", "kendall", "mean_ranks", "paired_p", "same", "spearman", "t_interval"]

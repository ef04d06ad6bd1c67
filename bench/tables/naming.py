"""What a name says: the granularity in a strategy's name, the order of rows, the metric that leads a
table."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.tasks import is_public

DENSE = "dense"
"""The strategy that removes nothing; every group of rows starts with it."""

GRANULARITIES = ("weight", "nm", "channel", "block", "share", "connection", "quantised", "group")

CURATED = (
    "random-weight-global",
    "l1-weight-global",
    "l1-weight-uniform",
    "random-channel-uniform",
    "l1-channel-uniform",
    "l1-channel-global",
    "bnscale-channel-global",
    "rownorm-channel+everystep",
)
"""The built-in strategies in the order of tables and legends; every other one follows by granularity and
name."""


def granularity_of(strategy: str) -> str:
    """The granularity in ``<criterion>-<granularity>[-<allocation>][+<schedule>]``.

    ``dense`` for the dense network, ``other`` where the name does not say.
    """
    if strategy == DENSE:
        return DENSE
    words = strategy.split("+", 1)[0].split("-")[1:]
    return next((word for word in words if word in GRANULARITIES), "other")


def strategy_order(strategy: str) -> tuple[int, int, str]:
    """Sort key: dense, the built-in strategies in their fixed order, then the rest by granularity and
    name.
    """
    if strategy == DENSE:
        return (0, 0, strategy)
    if strategy in CURATED:
        return (1, CURATED.index(strategy), strategy)
    granularity = granularity_of(strategy)
    rank = GRANULARITIES.index(granularity) if granularity in GRANULARITIES else len(GRANULARITIES)
    return (2, rank, strategy)


def row_order(
    workload: str, checkpoint: str, recovery: str, target: str, strategy: str, requested: float, level: str
) -> tuple[object, ...]:
    """Sort key of a table row: grouped by workload, checkpoint and recovery; dense first, then by level."""
    asked = math.inf if math.isnan(requested) else requested
    first = strategy != DENSE
    return (
        workload,
        checkpoint,
        recovery,
        first,
        target if first else "",
        strategy_order(strategy),
        asked,
        level,
    )


def main_metric(metrics: Iterable[str], family: str) -> str | None:
    """The metric of a family that leads the tables: the one of the public judge if it is there, else by name."""
    found = sorted(name for name in set(metrics) if name == family or name.startswith(f"{family}["))
    public = [name for name in found if is_public(judge_in(name))]
    return next(iter(public or found), None)


def judge_in(metric: str) -> str:
    """The network in the brackets of a metric's name; empty where there is none."""
    return metric.partition("[")[2].rstrip("]")

"""Which rows of a group are set in bold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TypeVar

from bench.statistics import holm, paired_p
from bench.tables.claim import LEVEL, TESTED, Claim

Name = TypeVar("Name", bound=Hashable)

LEAST_SEEDS = 3
"""Costs at equal quality are told apart by their spread over the seeds alone: with fewer they are not."""


@dataclass(frozen=True)
class Best:
    """The rows in bold, or why there are none."""

    rows: frozenset[Hashable]
    too_few_seeds: bool = False


def leading(rows: Iterable[Name], reference: Name | None, claims: Mapping[Name, Claim]) -> frozenset[Name]:
    """The rows of a group that the report's claims put first: those shown to be better than the reference; where there
    is none, the reference and what is not separable from it. Nothing is tested here.

    Args:
        reference: the row of the group that the others are compared with; None: it has none, and nothing is bold.
    """
    tested = _tested(rows, claims)
    if reference is None or not tested:
        return frozenset()
    better = frozenset(row for row, claim in tested.items() if claim.better)
    return better or frozenset([reference, *(row for row, claim in tested.items() if claim.better is None)])


def leading_without(rows: Iterable[Name], claims: Mapping[Name, Claim]) -> frozenset[Name]:
    """As `leading`, where the group is compared with what is no row of it: dense, or the best of its level."""
    tested = _tested(rows, claims)
    better = frozenset(row for row, claim in tested.items() if claim.better)
    return better or frozenset(row for row, claim in tested.items() if claim.better is None)


def _tested(rows: Iterable[Name], claims: Mapping[Name, Claim]) -> dict[Name, Claim]:
    return {row: claims[row] for row in rows if row in claims and claims[row].verdict in TESTED}


def not_separable(values: Mapping[Name, Mapping[int, float]], bounds: Set[Name] = frozenset()) -> Best:
    """The row with the lowest mean cost, and every row that a paired t test by seed does not tell apart from it.

    Tested are the ratios to the best row (differences of logarithms, as in the gate): errors of sizes grow with the
    value, and a test of plain differences would call 116 ± 87 and 3.3 inseparable. Where a value
    is not positive the plain differences are tested. Holm's correction at 5 % over the comparisons of the group,
    over the seeds that all rows share; with fewer than three of these nothing is bold, nor is a row that stands
    alone. A row in ``bounds`` has values that are only known to be at most these, so nothing can show it to be worse
    than the best.

    Args:
        values: for each row, seed -> value; lower is better.
    """
    if len(values) < 2:
        return Best(frozenset())
    seeds = sorted(set.intersection(*(set(row) for row in values.values())))
    if len(seeds) < LEAST_SEEDS:
        return Best(frozenset(), too_few_seeds=True)
    best = min(values, key=lambda name: statistics.fmean(values[name][seed] for seed in seeds))
    others = [name for name in values if name != best]
    tested = [name for name in others if name not in bounds]
    positive = all(values[name][seed] > 0 for name in values for seed in seeds)
    measure: Callable[[float], float] = math.log if positive else float
    differences = [[measure(values[name][seed]) - measure(values[best][seed]) for seed in seeds] for name in tested]
    adjusted = holm([paired_p(difference) for difference in differences])
    worse = {name for name, p_value in zip(tested, adjusted, strict=True) if p_value < LEVEL}
    return Best(frozenset(name for name in values if name not in worse))

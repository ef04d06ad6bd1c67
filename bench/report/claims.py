"""What the numbers allow to be said, and nothing more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.tables import Interval, holm, lead_metric, paired_p, row_order, t_interval
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.lead import family_of
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

LEVEL = 0.05
"""Family-wise error of all claims of one kind in a report."""
LEAST_SEEDS = 3
MARGIN = 0.05
"""How much of the dense FID may be lost where a network is said to hold it."""
SAME_SIZE = 0.02
"""Achieved sparsities that differ by more are not compared as if they were one level."""

TINY = 1e-12

Verdict = Literal["lower", "higher", "not separable", "identical", "too few seeds", "other size", "collapsed"]
Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Claim:
    """One comparison of FIDs (KIDs, where there is no FID), paired by seed: this row minus the other.

    The other is the reference strategy, or dense.
    """

    workload: str
    checkpoint: str
    strategy: str
    target: str
    level: str
    recovery: str
    requested: float
    achieved: float
    metric: str
    difference: Interval
    adjusted: float
    """P-value after Holm's correction over all comparisons of this kind; NaN where none was made."""
    verdict: Verdict
    varies: str


@dataclass(frozen=True)
class _Comparison:
    mine: list[Row]
    differences: list[float]
    tested: list[float]
    """Differences of log FID, for errors of FID grow with FID; of KID itself, which is 0 or below for a perfect
    generator.
    """
    obstacle: Verdict | None


def against_reference(frame: pd.DataFrame, reference: str) -> list[Claim]:
    """Every strategy against ``reference`` at the same workload, checkpoint, target, recovery and requested
    level.

    ``lower`` and ``higher`` need at least three shared seeds and a paired t test of log FID (without FID: of KID) that
    stays below 5 % after Holm's correction over all comparisons of the run. Workloads with neither have no claim.
    """
    groups = _judged_groups(frame)
    found = []
    for key, rows in groups.items():
        base = groups.get(_with(key, strategy=reference))
        if key[2] not in (reference, DENSE) and base and not math.isnan(rows[0]["requested"]):
            found.append(_compare(rows, base, same_size=True))
    adjusted = holm([_p(comparison) for comparison in found])
    return sorted((_claim(c, p, None) for c, p in zip(found, adjusted, strict=True)), key=_order)


def against_dense(frame: pd.DataFrame) -> list[Claim]:
    """Every pruned row against dense of the same recovery: ``lower`` here means shown to lose less than 5 %
    of FID.

    One-sided paired t tests of log FID against that margin, with Holm's correction over all rows of the run. ``not
    separable`` means that this is not shown: it is no statement that the row is worse. A workload without FID has no
    such claim: KID is about 0 for a good generator, and a share of that is no margin.
    """
    groups = {key: rows for key, rows in _judged_groups(frame).items() if _family(rows) == "fid"}
    found = []
    for key, rows in groups.items():
        dense = _dense_key(key, groups)
        if key[2] != DENSE and dense is not None:
            found.append(_compare(rows, groups[dense], same_size=False))
    adjusted = holm([_p(comparison, math.log1p(MARGIN)) for comparison in found])
    return sorted((_claim(c, p, MARGIN) for c, p in zip(found, adjusted, strict=True)), key=_order)


def _judged_groups(frame: pd.DataFrame) -> dict[Key, list[Row]]:
    rows = rows_of(frame)
    names: dict[str, set[str]] = {}
    for row in rows:
        names.setdefault(row["workload"], set()).add(row["metric"])
    leaders = {workload: lead_metric(metrics) for workload, metrics in names.items()}
    lost = {_key(row) for row in rows if row["status"] == "collapsed"}
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        leader = leaders[row["workload"]]
        if leader and (row["metric"] == leader or (_key(row) in lost and not row["metric"])):
            groups.setdefault(_key(row), []).append(row | {"judge": leader})
    return groups


def _family(rows: Sequence[Row]) -> str:
    return family_of(rows[0]["judge"])


def _compare(mine: list[Row], base: list[Row], *, same_size: bool) -> _Comparison:
    values = {row["seed"]: row["value"] for row in base if row["status"] == "ok"}
    pairs = [(row["value"], values.get(row["seed"], math.nan)) for row in mine if row["status"] == "ok"]
    pairs = [(value, other) for value, other in pairs if not math.isnan(value - other)]
    differences = [value - other for value, other in pairs]
    obstacle: Verdict | None = None
    if any(row["status"] == "collapsed" for row in [*mine, *base]):
        obstacle = "collapsed"
    elif same_size and abs(_achieved(mine) - _achieved(base)) > SAME_SIZE:
        obstacle = "other size"
    elif len(differences) < LEAST_SEEDS:
        obstacle = "too few seeds"
    if _family(mine) != "fid":
        return _Comparison(mine, differences, differences, obstacle)
    # A FID of exactly 0 (an image set against itself) has no logarithm; the smallest float keeps its rank.
    logs = [math.log(max(value, TINY)) - math.log(max(other, TINY)) for value, other in pairs]
    return _Comparison(mine, differences, logs, obstacle)


def _p(comparison: _Comparison, margin: float | None = None) -> float:
    return math.nan if comparison.obstacle else paired_p(comparison.tested, margin)


def _claim(comparison: _Comparison, adjusted: float, margin: float | None) -> Claim:
    first = comparison.mine[0]
    interval = t_interval(comparison.differences)
    verdict: Verdict = comparison.obstacle or "not separable"
    if comparison.obstacle is None:
        if all(difference == 0 for difference in comparison.differences):
            verdict = "identical"
        elif adjusted < LEVEL:
            verdict = "lower" if margin is not None or sum(comparison.tested) < 0 else "higher"
    return Claim(
        **{name: first[name] for name in [*GROUP_COLUMNS, "requested", "varies"]},
        metric=first["judge"],
        achieved=_achieved(comparison.mine),
        difference=interval,
        adjusted=adjusted,
        verdict=verdict,
    )


def _achieved(rows: Sequence[Row]) -> float:
    return t_interval([row["achieved_params"] for row in rows if not math.isnan(row["achieved_params"])]).mean


def _key(row: Row) -> Key:
    return tuple(row[name] for name in GROUP_COLUMNS)


def _with(key: Key, **changes: str) -> Key:
    return tuple(changes.get(name, value) for name, value in zip(GROUP_COLUMNS, key, strict=True))


def _dense_key(key: Key, groups: dict[Key, list[Row]]) -> Key | None:
    same = [key[0], key[1], key[5]]
    found = (other for other in groups if other[2] == DENSE and [other[0], other[1], other[5]] == same)
    return next(found, None)


def _order(claim: Claim) -> tuple[object, ...]:
    return row_order(
        claim.workload,
        claim.checkpoint,
        claim.recovery,
        claim.target,
        claim.strategy,
        claim.requested,
        claim.level,
    )

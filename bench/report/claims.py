"""What the numbers allow to be said, and nothing more.

There are two families of claims in a report, each corrected once over the whole run: every strategy against the
reference, and every pruned network against dense. Page, Markdown and paper tables take their verdicts from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.statistics import Interval, holm, paired_p, same, t_interval
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.lead import Judge, judges_of
from bench.tables.naming import DENSE, row_order
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

LEVEL = 0.05
"""Family-wise error of all claims of one kind in a report."""
LEAST_SEEDS = 3
SAME_SIZE = 0.02
"""Achieved sparsities that differ by more are not compared as if they were one level."""

Verdict = Literal["lower", "higher", "holds", "not separable", "identical", "too few seeds", "other size", "collapsed"]
TESTED: frozenset[Verdict] = frozenset({"lower", "higher", "holds", "not separable", "identical"})
"""The verdicts of comparisons that were made."""
Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Claim:
    """One comparison of what judges a workload, paired by seed: this row minus the other.

    The other is the reference strategy (``lower``, ``higher``), or dense (``holds``: shown to lose less than the
    margin).
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
    quantity: Quantity
    difference: Interval
    adjusted: float
    """P-value after Holm's correction over all comparisons of this kind; NaN where none was made."""
    verdict: Verdict
    varies: str

    @property
    def row(self) -> Key:
        """The row of the tables that it is about: its values of `GROUP_COLUMNS`."""
        return tuple(getattr(self, name) for name in GROUP_COLUMNS)

    @property
    def better(self) -> bool | None:
        """Whether the row is shown to be better than the other one; None: it is not shown to be either."""
        if self.verdict not in ("lower", "higher"):
            return None
        return self.verdict == self.quantity.direction


@dataclass(frozen=True)
class Claims:
    """All claims of a report, each made once."""

    reference: str
    """The strategy that the others are compared with."""
    against_reference: tuple[Claim, ...]
    against_dense: tuple[Claim, ...]

    def verdicts(self) -> dict[Key, Claim]:
        """The comparison with the reference of each row that has one."""
        return {claim.row: claim for claim in self.against_reference}


@dataclass(frozen=True)
class _Comparison:
    mine: list[Row]
    differences: list[float]
    tested: list[float]
    """Differences on the scale of the quantity."""
    obstacle: Verdict | None


def claims_of(frame: pd.DataFrame, reference: str) -> Claims:
    """Every claim that the cells with a network (``ok`` or collapsed) of a run give rise to."""
    usable = frame[frame["status"].isin(["ok", "collapsed"])]
    groups = _judged_groups(usable)
    return Claims(reference, tuple(_against_reference(groups, reference)), tuple(_against_dense(groups)))


def against_reference(frame: pd.DataFrame, reference: str) -> list[Claim]:
    """Every strategy against ``reference`` at the same workload, checkpoint, target, recovery and requested
    level.

    ``lower`` and ``higher`` need at least three shared seeds and a paired t test, on the scale of what judges the
    workload, that stays below 5 % after Holm's correction over all comparisons of the run. Workloads that nothing
    judges have no claim.
    """
    return _against_reference(_judged_groups(frame), reference)


def against_dense(frame: pd.DataFrame) -> list[Claim]:
    """Every pruned row against dense of the same recovery: ``holds`` means shown to lose less than the margin.

    One-sided paired t tests against the margin of what judges the workload, on its scale, with Holm's correction over
    all rows of the run. ``not separable`` means that this is not shown: it is no statement that the row is worse. A
    quantity without a margin has no such claim.
    """
    return _against_dense(_judged_groups(frame))


def _against_reference(groups: dict[Key, list[Row]], reference: str) -> list[Claim]:
    found = []
    for key, rows in groups.items():
        base = groups.get(_with(key, strategy=reference))
        if key[2] not in (reference, DENSE) and base and not math.isnan(rows[0]["requested"]):
            found.append(_compare(rows, base, same_size=True))
    adjusted = holm([_p(comparison) for comparison in found])
    return sorted((_claim(c, p, to_dense=False) for c, p in zip(found, adjusted, strict=True)), key=_order)


def _against_dense(groups: dict[Key, list[Row]]) -> list[Claim]:
    found = []
    for key, rows in groups.items():
        dense = _dense_key(key, groups)
        if key[2] != DENSE and dense is not None and _quantity(rows).margin is not None:
            found.append(_compare(rows, groups[dense], same_size=False))
    adjusted = holm([_p(comparison, to_dense=True) for comparison in found])
    return sorted((_claim(c, p, to_dense=True) for c, p in zip(found, adjusted, strict=True)), key=_order)


def _judged_groups(frame: pd.DataFrame) -> dict[Key, list[Row]]:
    judges: dict[str, Judge | None] = judges_of(frame)
    rows = rows_of(frame)
    lost = {_key(row) for row in rows if row["status"] == "collapsed"}
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        judge = judges[row["workload"]]
        if judge and (row["metric"] == judge.metric or (_key(row) in lost and not row["metric"])):
            groups.setdefault(_key(row), []).append(row | {"judge": judge})
    return groups


def _quantity(rows: Sequence[Row]) -> Quantity:
    judge: Judge = rows[0]["judge"]
    return judge.quantity


def _compare(mine: list[Row], base: list[Row], *, same_size: bool) -> _Comparison:
    values = {row["seed"]: row["value"] for row in base if row["status"] == "ok"}
    pairs = [(row["value"], values.get(row["seed"], math.nan)) for row in mine if row["status"] == "ok"]
    pairs = [(value, other) for value, other in pairs if not math.isnan(value - other)]
    # What differs by one rounding is equal: a test of such differences would find noise of the arithmetic.
    pairs = [(other, other) if same(value, other) else (value, other) for value, other in pairs]
    differences = [value - other for value, other in pairs]
    obstacle: Verdict | None = None
    if any(row["status"] == "collapsed" for row in [*mine, *base]):
        obstacle = "collapsed"
    elif same_size and abs(_achieved(mine) - _achieved(base)) > SAME_SIZE:
        obstacle = "other size"
    elif len(differences) < LEAST_SEEDS:
        obstacle = "too few seeds"
    on_scale = _quantity(mine).on_scale
    return _Comparison(mine, differences, [on_scale(value) - on_scale(other) for value, other in pairs], obstacle)


def _p(comparison: _Comparison, *, to_dense: bool = False) -> float:
    if comparison.obstacle:
        return math.nan
    quantity = _quantity(comparison.mine)
    if not to_dense or quantity.margin is None:
        return paired_p(comparison.tested)
    return paired_p([quantity.sign * difference for difference in comparison.tested], quantity.at_most(quantity.margin))


def _claim(comparison: _Comparison, adjusted: float, *, to_dense: bool) -> Claim:
    first = comparison.mine[0]
    verdict: Verdict = comparison.obstacle or "not separable"
    if comparison.obstacle is None:
        if all(difference == 0 for difference in comparison.differences):
            verdict = "identical"
        elif adjusted < LEVEL:
            verdict = "holds" if to_dense else ("lower" if sum(comparison.tested) < 0 else "higher")
    return Claim(
        **{name: first[name] for name in [*GROUP_COLUMNS, "requested", "varies"]},
        metric=first["judge"].metric,
        quantity=first["judge"].quantity,
        achieved=_achieved(comparison.mine),
        difference=t_interval(comparison.differences),
        adjusted=adjusted,
        verdict=verdict,
    )


def by_place(claims: Iterable[Claim]) -> dict[tuple[str, str, str, str], list[Claim]]:
    """Claims of one workload, checkpoint, recovery and target together."""
    found: dict[tuple[str, str, str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.workload, claim.checkpoint, claim.recovery, claim.target), []).append(claim)
    return found


def _achieved(rows: Sequence[Row]) -> float:
    return t_interval([row["achieved_params"] for row in rows if not math.isnan(row["achieved_params"])]).mean


def _key(row: Row) -> Key:
    return tuple(row[name] for name in GROUP_COLUMNS)


def _with(key: Key, **changes: str) -> Key:
    return tuple(changes.get(name, value) for name, value in zip(GROUP_COLUMNS, key, strict=True))


def _dense_key(key: Key, groups: dict[Key, list[Row]]) -> Key | None:
    same_place = [key[0], key[1], key[5]]
    found = (other for other in groups if other[2] == DENSE and [other[0], other[1], other[5]] == same_place)
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

"""What the numbers allow to be said, and nothing more.

There are two families of claims for each workload, checkpoint and recovery, each with an error of its own: every
strategy against the reference, and every pruned network against dense. Another workload in a run changes none of them.
Page, Markdown, paper tables and Python take their verdicts from here, and the intervals beside them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from bench.statistics import Difference, Simultaneous, above, below, between, estimated
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.evidence import CHECKPOINT, Evidence, compared, over_checkpoints
from bench.tables.lead import Judge, judges_of, task_of
from bench.tables.naming import DENSE, row_order
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

LEVEL = 0.05
"""Error of all claims of one family together: that any of them is wrong."""
SAME_SIZE = 0.02
"""Achieved sparsities that differ by more are not compared as if they were one level."""
LEAST_CHECKPOINTS = 3
"""From so many trainings on a claim is made about trainings, not about one network."""
BEST = "best"
"""The reference that stands for the best of each level."""
ALL = "all {count}"
"""The checkpoint of a claim about trainings."""

Verdict = Literal[
    "lower", "higher", "holds", "worse", "not separable", "identical", "collapsed", "worse: collapsed",
    "better: the other collapsed", "both collapsed", "too few seeds", "other size",
]  # fmt: skip
"""`lower, higher`: shown to differ from the reference. `holds`: shown to lose at most the margin against dense (as good
as dense within it). `worse`: shown to be worse than dense. `not separable`: neither; that says nothing of being equal.
`collapsed`: some of the seeds, so nothing is compared."""
TESTED: frozenset[Verdict] = frozenset({"lower", "higher", "holds", "worse", "not separable", "identical"})
"""The verdicts of comparisons that were made."""
Row = dict[str, Any]
Key = tuple[Any, ...]
Cells = dict[int, dict[str, Row]]
"""Seed -> metric -> row, of one group."""


@dataclass(frozen=True)
class Claim:
    """One comparison of what judges a workload: this row minus the other, which is the reference or dense."""

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
    other: str
    """The strategy that it is compared with."""
    n: int
    """Over so many seeds; of a claim about trainings, checkpoints."""
    difference: float
    """The mean, in the unit of the metric; NaN where nothing was compared."""
    low: float
    high: float
    """The interval that holds together with all others of the family; it is open, and excludes 0 exactly where a
    difference is shown."""
    bound: float
    """Against dense: it loses at most so much, with all others of the family; NaN against the reference."""
    allowed: float
    """Against dense: the margin, in the unit of the metric; NaN where there is none."""
    adjusted: float
    """P-value corrected within the family (of ``holds``: that of losing less than the margin); NaN: not compared."""
    verdict: Verdict
    varies: str

    @property
    def row(self) -> Key:
        """The row of the tables that it is about: its values of `GROUP_COLUMNS`."""
        return tuple(getattr(self, name) for name in GROUP_COLUMNS)

    @property
    def better(self) -> bool | None:
        """Whether the row is shown to be better than the reference; None: it is not shown to be either."""
        if self.verdict in ("worse", "worse: collapsed"):
            return False
        if self.verdict == "better: the other collapsed":
            return True
        return self.verdict == self.quantity.direction if self.verdict in ("lower", "higher") else None


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
class _Group:
    """The cells of one row of the tables, with what judges them."""

    key: Key
    cells: Cells
    lost: int
    """How many collapsed."""
    judge: Judge
    floor: float

    @property
    def first(self) -> Row:
        return next(iter(next(iter(self.cells.values())).values()))

    @property
    def usable(self) -> Cells:
        return {seed: rows for seed, rows in self.cells.items() if next(iter(rows.values()))["status"] == "ok"}

    @property
    def achieved(self) -> float:
        found = [next(iter(rows.values()))["achieved_params"] for rows in self.cells.values()]
        known = [value for value in found if not math.isnan(value)]
        return statistics.fmean(known) if known else math.nan

    @property
    def mean(self) -> float:
        found = [rows[self.judge.metric]["value"] for rows in self.usable.values() if self.judge.metric in rows]
        return statistics.fmean(found) if found else math.nan


@dataclass(frozen=True)
class _Comparison:
    mine: _Group
    base: _Group
    difference: Difference | None
    obstacle: Verdict | None


def claims_of(frame: pd.DataFrame, reference: str, evidence: Evidence | None = None) -> Claims:
    """Every claim that the cells with a network (``ok`` or collapsed) of a run give rise to."""
    usable = frame[frame["status"].isin(["ok", "collapsed"])]
    groups, known = _groups(usable), evidence or Evidence()
    return Claims(
        reference,
        tuple(_against_reference(groups, reference, known)),
        tuple(_against_dense(groups, known)),
    )


def against_reference(frame: pd.DataFrame, reference: str, evidence: Evidence | None = None) -> list[Claim]:
    """Every strategy against ``reference`` (a strategy, or dense) at the same workload, checkpoint, target, recovery and
    requested level; one family for each workload, checkpoint and recovery, strategies first. Workloads that nothing
    judges have no claim.
    """
    return _against_reference(_groups(frame), reference, evidence or Evidence())


def against_dense(frame: pd.DataFrame, evidence: Evidence | None = None) -> list[Claim]:
    """Every pruned row against dense of the same recovery: what it loses at most, whether that is within the margin
    (``holds``), whether it is shown to lose anything (``worse``). Half of the family's error is for each.
    """
    return _against_dense(_groups(frame), evidence or Evidence())


def _against_reference(groups: dict[Key, _Group], reference: str, evidence: Evidence) -> list[Claim]:
    found = []
    for key, group in groups.items():
        if key[2] in (reference, DENSE):
            continue
        if reference == DENSE:
            other = _dense_of(key, groups)
        else:
            other = groups.get(_with(key, strategy=reference)) if not math.isnan(group.first["requested"]) else None
        if other is not None:
            found.append(_compare(group, other, evidence, same_size=reference != DENSE))
    return _sorted(claim for family in _families(found) for claim in _judged_by_reference(family))


def _against_dense(groups: dict[Key, _Group], evidence: Evidence) -> list[Claim]:
    found = []
    for key, group in groups.items():
        dense = _dense_of(key, groups)
        if key[2] != DENSE and dense is not None:
            found.append(_compare(group, dense, evidence, same_size=False))
    return _sorted(claim for family in _families(found) for claim in _judged_by_dense(family))


def _families(comparisons: Sequence[_Comparison]) -> list[list[_Comparison]]:
    """Those that share an error; where a workload has several trainings, those about all of them besides."""
    every = [*comparisons, *_over_trainings(comparisons)]
    found: dict[Key, list[_Comparison]] = {}
    for one in every:
        workload, checkpoint, _, _, _, recovery = one.mine.key
        found.setdefault((workload, checkpoint, recovery), []).append(one)
    return list(found.values())


def _over_trainings(comparisons: Sequence[_Comparison]) -> list[_Comparison]:
    """The comparisons that every checkpoint of a workload made, with the checkpoints as units."""
    found: dict[Key, list[_Comparison]] = {}
    for one in comparisons:
        found.setdefault(_with(one.mine.key, checkpoint=""), []).append(one)
    count = {key[0]: len(members) for key, members in found.items()}
    count = {name: max(len(m) for key, m in found.items() if key[0] == name) for name in count}
    result = []
    for key, members in found.items():
        if count[key[0]] < LEAST_CHECKPOINTS:
            continue
        name = ALL.format(count=count[key[0]])
        parts = [one.difference for one in members if one.difference is not None and not one.obstacle]
        obstacle: Verdict | None = None if len(parts) == len(members) == count[key[0]] else "collapsed"
        mine, base = (
            replace(side, key=_with(side.key, checkpoint=name), cells=_joined([one for one in sides]))
            for side, sides in ((members[0].mine, [m.mine for m in members]), (members[0].base, [m.base for m in members]))
        )
        result.append(_Comparison(mine, base, over_checkpoints(parts) if not obstacle else None, obstacle))
    return result


def _joined(groups: Sequence[_Group]) -> Cells:
    """The cells of several checkpoints, numbered on: only their means are asked for."""
    return dict(enumerate(rows for group in groups for rows in group.cells.values()))


def _estimates(family: Sequence[_Comparison]) -> list[Any]:
    made = [one.difference for one in family if one.difference is not None and not one.obstacle]
    found = iter(estimated(made))
    return [next(found) if one.difference is not None and not one.obstacle else None for one in family]


def _names(family: Sequence[_Comparison]) -> list[Key]:
    """The strategies, at each target: what a family is grouped by."""
    return [(one.mine.key[2], one.mine.key[3]) for one in family]


def _judged_by_reference(family: Sequence[_Comparison]) -> list[Claim]:
    estimates = _estimates(family)
    results = between(_names(family), estimates, error=LEVEL)
    claims = []
    for one, estimate, result in zip(family, estimates, results, strict=True):
        verdict: Verdict = one.obstacle or ("too few seeds" if result is None else "not separable")
        if result is not None:
            if _identical(one):
                verdict = "identical"
            elif result.shown:
                verdict = "lower" if result.shown < 0 else "higher"
        claims.append(_claim(one, result, math.nan, math.nan, verdict))
    return claims


def _judged_by_dense(family: Sequence[_Comparison]) -> list[Claim]:
    """Turned so that positive is worse: below the margin it holds, above 0 it is worse."""
    quantity, sign = family[0].mine.judge.quantity, family[0].mine.judge.quantity.sign
    names = _names(family)
    estimates = [found if found is None or sign > 0 else found.negative() for found in _estimates(family)]
    # Each margin is its own null hypothesis, so the estimates are moved and the null is 0.
    allowed = [_allowed(one, quantity) for one in family]
    moved = [
        None if found is None else replace(found, difference=found.difference - (0.0 if math.isnan(most) else most))
        for found, most in zip(estimates, allowed, strict=True)
    ]
    losses, bounds = above(names, estimates, error=LEVEL / 2), below(names, moved, error=LEVEL / 2)
    claims = []
    for one, most, loss, bound in zip(family, allowed, losses, bounds, strict=True):
        verdict: Verdict = one.obstacle or ("too few seeds" if loss is None else "not separable")
        result = None
        high = math.nan
        if loss is not None and bound is not None:
            high = bound.high + (0.0 if math.isnan(most) else most)
            held = bool(bound.shown) and not math.isnan(most)
            low, p = loss.low, bound.p if held else loss.p
            result = Simultaneous(low, high, p, 0) if sign > 0 else Simultaneous(-high, -low, p, 0)
            if _identical(one):
                verdict, high = "identical", 0.0
            elif held:
                verdict = "holds"
            elif loss.shown:
                verdict = "worse"
        claims.append(_claim(one, result, high, most, verdict))
    return claims


def _allowed(one: _Comparison, quantity: Quantity) -> float:
    """What may be lost, on the scale; NaN: the quantity has no margin."""
    if quantity.margin is None or one.difference is None:
        return math.nan
    return quantity.allowance(quantity.margin, one.base.mean, one.base.floor)


def _identical(one: _Comparison) -> bool:
    return one.difference is not None and not any(one.difference.values) and not any(one.difference.images)


def _claim(one: _Comparison, result: Simultaneous | None, bound: float, allowed: float, verdict: Verdict) -> Claim:
    mine, base, quantity = one.mine, one.base, one.mine.judge.quantity
    mean = statistics.fmean(one.difference.values) if one.difference is not None and not one.obstacle else math.nan
    unit = _unit_of(quantity, base.mean)
    low, high = (unit(result.low), unit(result.high)) if result else (math.nan, math.nan)
    return Claim(
        **dict(zip(GROUP_COLUMNS, mine.key, strict=True)),
        requested=mine.first["requested"],
        varies="; ".join(sorted({str(row["varies"]) for rows in mine.cells.values() for row in rows.values()})),
        achieved=mine.achieved,
        metric=mine.judge.metric,
        quantity=quantity,
        other=base.key[2],
        n=len(one.difference.values) if one.difference else 0,
        difference=unit(mean),
        low=low,
        high=high,
        bound=unit(bound) if quantity.sign > 0 else -unit(-bound),
        allowed=unit(allowed) if quantity.sign > 0 else -unit(-allowed),
        adjusted=result.p if result else math.nan,
        verdict=verdict,
    )


def _unit_of(quantity: Quantity, base: float) -> Any:
    """From a difference on the scale to one in the unit of the metric, beside ``base``."""
    if quantity.scale == "log":
        return lambda x: math.inf if x > 700 else base * math.expm1(x)
    return float


def _compare(mine: _Group, base: _Group, evidence: Evidence, *, same_size: bool) -> _Comparison:
    difference = compared(mine.usable, base.usable, mine.judge.metric, mine.judge.quantity, evidence)
    obstacle: Verdict | None = None
    whole, lost = len(mine.cells), mine.lost
    if lost or base.lost:
        obstacle = "collapsed"
        if lost == whole and not base.lost:
            obstacle = "worse: collapsed"
        elif not lost and base.lost == len(base.cells):
            obstacle = "better: the other collapsed"
        elif lost == whole and base.lost == len(base.cells):
            obstacle = "both collapsed"
    elif same_size and abs(mine.achieved - base.achieved) > SAME_SIZE:
        obstacle = "other size"
    elif difference is None:
        obstacle = "too few seeds"
    return _Comparison(mine, base, difference, obstacle)


def _groups(frame: pd.DataFrame) -> dict[Key, _Group]:
    judges: dict[str, Judge | None] = judges_of(frame)
    tasks = {str(workload): task_of(rows) for workload, rows in frame.groupby("workload", sort=False)}
    cells: dict[Key, Cells] = {}
    floors: dict[Key, float] = {}
    for row in rows_of(frame):
        judge = judges[row["workload"]]
        if judge is None:
            continue
        name = str(row["metric"]).partition("[")[0]
        if name == tasks[row["workload"]].floor and judge.metric.endswith(str(row["metric"]).partition("[")[2]):
            floors[row["workload"], row["checkpoint"]] = row["value"]
        wanted = (judge.quantity.name, judge.quantity.at_n)
        if row["metric"] and (row["metric"] != judge.metric and name not in wanted):
            continue
        cells.setdefault(_key(row), {}).setdefault(row["seed"], {})[str(row["metric"])] = row
    found = {}
    for key, seeds in cells.items():
        judge = judges[key[0]]
        assert judge is not None
        lost = sum(next(iter(rows.values()))["status"] == "collapsed" for rows in seeds.values())
        measured = any(judge.metric in rows for rows in seeds.values())
        if measured or lost:
            found[key] = _Group(key, seeds, lost, judge, floors.get(key[:2], math.nan))
    return found


def by_place(claims: Iterable[Claim]) -> dict[tuple[str, str, str, str], list[Claim]]:
    """Claims of one workload, checkpoint, recovery and target together."""
    found: dict[tuple[str, str, str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.workload, claim.checkpoint, claim.recovery, claim.target), []).append(claim)
    return found


def about_trainings(claim: Claim) -> bool:
    """Whether a claim is about several trainings, not about one network."""
    return claim.checkpoint == ALL.format(count=claim.n) and claim.n >= LEAST_CHECKPOINTS


def _key(row: Row) -> Key:
    return tuple(row[name] for name in GROUP_COLUMNS)


def _with(key: Key, **changes: str) -> Key:
    return tuple(changes.get(name, value) for name, value in zip(GROUP_COLUMNS, key, strict=True))


def _dense_of(key: Key, groups: Mapping[Key, _Group]) -> _Group | None:
    same_place = [key[0], key[1], key[5]]
    found = (group for other, group in groups.items() if other[2] == DENSE and [*other[:2], other[5]] == same_place)
    return next(found, None)


def _sorted(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=_order)


def _order(claim: Claim) -> tuple[object, ...]:
    return row_order(
        claim.workload, claim.checkpoint, claim.recovery, claim.target, claim.strategy, claim.requested, claim.level
    )

"""The cells of a run in groups of one row, and two groups compared."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.records.finishes import without_finish
from bench.statistics import Difference, Simultaneous
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.claim import SAME_SIZE, Claim, Key, Verdict
from bench.tables.evidence import UNKNOWN, Evidence, compared
from bench.tables.lead import Judge, judges_of, task_of
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

Row = dict[str, Any]
Cells = dict[int, dict[str, Row]]
"""Seed -> metric -> row, of one group."""

LEAST_SEEDS = 3
"""Where nothing is known of the images, the spread over fewer seeds says too little."""


@dataclass(frozen=True)
class Group:
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

    @property
    def mean_at_n(self) -> float:
        """Of the quantity before the bias of its images is taken off."""
        quantity, metric = self.judge.quantity, self.judge.metric
        named = metric.replace(quantity.name, quantity.at_n, 1) if quantity.at_n else metric
        found = [rows.get(named, rows[metric])["value"] for rows in self.usable.values() if metric in rows]
        return statistics.fmean(found) if found else math.nan


@dataclass(frozen=True)
class Comparison:
    mine: Group
    base: Group
    difference: Difference | None
    obstacle: Verdict | None


def compare(mine: Group, base: Group, evidence: Evidence, *, same_size: bool) -> Comparison:
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
    elif difference is None or (UNKNOWN in difference.varies and len(difference.values) < LEAST_SEEDS):
        obstacle = "too few seeds"
    return Comparison(mine, base, difference, obstacle)


def groups_of(frame: pd.DataFrame) -> dict[Key, Group]:
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
        cells.setdefault(key_of(row), {}).setdefault(row["seed"], {})[str(row["metric"])] = row
    found = {}
    for key, seeds in cells.items():
        judge = judges[key[0]]
        assert judge is not None
        lost = sum(next(iter(rows.values()))["status"] == "collapsed" for rows in seeds.values())
        measured = any(judge.metric in rows for rows in seeds.values())
        if measured or lost:
            found[key] = Group(key, seeds, lost, judge, floors.get(key[:2], math.nan))
    return found


def key_of(row: Row) -> Key:
    return tuple(row[name] for name in GROUP_COLUMNS)


def changed(key: Key, **changes: str) -> Key:
    return tuple(changes.get(name, value) for name, value in zip(GROUP_COLUMNS, key, strict=True))


def dense_of(key: Key, groups: Mapping[Key, Group]) -> Group | None:
    """Dense of the same recovery, without a finish; None for itself."""
    place = [key[0], key[1], without_finish(key[5])]
    found = (group for other, group in groups.items() if other[2] == DENSE and [*other[:2], other[5]] == place)
    dense = next(found, None)
    return None if dense is not None and dense.key == key else dense


def claim_about(one: Comparison, result: Simultaneous | None, bound: float, verdict: Verdict) -> Claim:
    """The claim that a family's result allows; ``result`` and ``bound`` are on the scale of the estimate."""
    mine, base = one.mine, one.base
    made = one.difference if one.difference is not None and not one.obstacle else None
    unit = _unit_of(one)
    return Claim(
        **dict(zip(GROUP_COLUMNS, mine.key, strict=True)),
        requested=mine.first["requested"],
        varies="; ".join(sorted({str(row["varies"]) for rows in mine.cells.values() for row in rows.values()})),
        achieved=mine.achieved,
        metric=mine.judge.metric,
        quantity=mine.judge.quantity,
        other=base.key[2],
        n=len(one.difference.values) if one.difference else 0,
        difference=mine.mean - base.mean if made else math.nan,
        low=unit(result.low) if result else math.nan,
        high=unit(result.high) if result else math.nan,
        bound=mine.judge.quantity.sign * unit(mine.judge.quantity.sign * bound),
        allowed=mine.judge.quantity.sign * unit(mine.judge.quantity.sign * allowed_on_scale(one)),
        adjusted=result.p if result else math.nan,
        verdict=verdict,
    )


def allowed_on_scale(one: Comparison) -> float:
    """What may be lost against the base, on the scale of the estimate, positive; NaN: the quantity has no margin."""
    quantity = one.mine.judge.quantity
    if quantity.margin is None or one.difference is None:
        return math.nan
    amount = quantity.allowance(quantity.margin, one.base.mean, one.base.floor)
    return math.log1p(amount / one.base.mean_at_n) if quantity.scale == "share" and one.difference.on_logs else amount


def _unit_of(one: Comparison) -> Callable[[float], float]:
    """From a difference on the scale of the estimate to one in the unit of the metric."""
    quantity = one.mine.judge.quantity
    if quantity.scale == "log":
        base = one.base.mean
    elif one.difference is not None and one.difference.on_logs:
        base = one.base.mean_at_n
    else:
        return float
    return lambda x: math.inf if x > 700 else base * math.expm1(x)

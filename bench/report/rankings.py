"""The ranks of the strategies on each workload, and how far the workloads agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import pandas as pd

from bench.statistics import kendall, mean_ranks, spearman
from bench.tables import strategy_order
from bench.tables.claim import SAME_SIZE
from bench.tables.lead import judges, judges_of
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

MOST_LINES = 8
"""Strategies that are drawn as lines; more of them are a table."""
LEAST = 3
"""Fewer strategies have no ranking worth a figure."""
DIGITS = 12
"""Of a value that is ranked: what differs by rounding is a tie."""


@dataclass(frozen=True)
class Ranking:
    """Ranks of the strategies of one level; 1 is the best, ties share their mean rank."""

    level: float
    workloads: list[str]
    ranks: dict[str, list[list[float]]]
    """Strategy -> for each workload, its rank under each seed."""
    first: str = "best"
    """What 1 stands for: ``lowest`` where all workloads are judged by what is better when lower."""

    def mean(self, strategy: str, workload: int) -> float:
        return fmean(self.ranks[strategy][workload])


@dataclass(frozen=True)
class Agreement:
    """How alike two workloads order the strategies of a level, by their mean ranks; NaN where one has only ties."""

    level: float
    first: str
    second: str
    count: int
    spearman: float
    kendall: float


def rankings(frame: pd.DataFrame) -> list[Ranking]:
    """One ranking for each requested sparsity; `tidy` rows of a slice.

    Ranked within each seed: strategies that reach the level (within .02) on every workload and have a value or a
    collapse for every seed. A collapsed seed ranks last, tied with the others that collapsed. Nothing for one workload,
    or fewer than three strategies.
    """
    cells = _cells(frame)
    directions = {quantity.direction for quantity in judges(judges_of(frame).values())}
    first = "lowest" if directions == {"lower"} else "highest" if directions == {"higher"} else "best"
    workloads = sorted(set(cells["workload"]))
    found = []
    if len(workloads) < 2:
        return []
    for level in sorted(set(cells["requested"])):
        mine = cells[cells["requested"] == level]
        score: dict[tuple[str, str], dict[int, float]] = {}
        for row in rows_of(mine):
            score.setdefault((row["workload"], row["strategy"]), {})[row["seed"]] = row["value"]
        seeds = {name: sorted({seed for (w, _), by in score.items() if w == name for seed in by}) for name in workloads}
        complete = [
            strategy
            for strategy in sorted(set(mine["strategy"]), key=strategy_order)
            if all(sorted(score.get((name, strategy), {})) == seeds[name] != [] for name in workloads)
        ]
        if len(complete) < LEAST:
            continue
        ranks: dict[str, list[list[float]]] = {strategy: [] for strategy in complete}
        for name in workloads:
            by_seed = [mean_ranks([score[name, strategy][seed] for strategy in complete]) for seed in seeds[name]]
            for index, strategy in enumerate(complete):
                ranks[strategy].append([of_all[index] for of_all in by_seed])
        found.append(Ranking(float(level), workloads, ranks, first))
    return found


def agreements(ranking: Ranking) -> list[Agreement]:
    """Spearman's rho and Kendall's tau-b for each pair of workloads."""
    result = []
    for first, second in combinations(range(len(ranking.workloads)), 2):
        x, y = ([ranking.mean(strategy, place) for strategy in ranking.ranks] for place in (first, second))
        rho, tau = spearman(x, y), kendall(x, y)
        names = ranking.workloads[first], ranking.workloads[second]
        result.append(Agreement(ranking.level, *names, len(x), rho, tau))
    return result


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell that can be ranked: its value with less being better, infinite where it collapsed."""
    frame = frame[(frame["strategy"] != DENSE) & frame["requested"].notna()]
    parts = []
    judged = judges_of(frame)
    for workload, rows in frame.groupby("workload", sort=True):
        judge = judged[str(workload)]
        lost = rows[rows["status"] == "collapsed"].drop_duplicates(["strategy", "level", "seed"])
        parts.append(lost.assign(value=math.inf))
        if judge:
            kept = rows[(rows["status"] == "ok") & (rows["metric"] == judge.metric) & rows["value"].notna()]
            sign = judge.quantity.sign
            parts.append(kept.assign(value=[float(f"{sign * value:.{DIGITS}g}") for value in kept["value"]]))
    if not parts:
        return frame.iloc[:0]
    cells = pd.concat(parts)
    achieved = cells["achieved_macs"].where(cells["target"] == "macs", cells["achieved_params"])
    return cells[(achieved - cells["requested"]).abs() <= SAME_SIZE]


def is_table(found: Sequence[Ranking]) -> bool:
    """Whether there are too many strategies for lines."""
    return max((len(ranking.ranks) for ranking in found), default=0) > MOST_LINES

"""Whether strategies that are good on one workload are good on the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from scipy.stats import kendalltau, rankdata

from bench.report.claims import SAME_SIZE
from bench.report.labels import EndLabel, label_ends
from bench.report.style import PAGE, look_of, paper_style
from bench.tables import lead_metric, strategy_order
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

ROW = 0.17
"""Inches for a rank."""
MOST_LINES = 8
"""Lines in a panel; with more strategies each granularity has its own."""
LEAST = 3
"""Fewer strategies have no ranking worth a figure."""


CELL = 0.165
"""Inches: height of a row of the table."""


@dataclass(frozen=True)
class Ranking:
    """Ranks of the strategies of one level; 1 is the lowest FID, ties share their mean rank."""

    level: float
    workloads: list[str]
    ranks: dict[str, list[list[float]]]
    """Strategy -> for each workload, its rank under each seed."""

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

    Ranked within each seed: strategies that reach the level (within .02) on every workload and have a FID or a collapse
    for every seed. A collapsed seed ranks last, tied with the others that collapsed. Nothing for one workload, or fewer
    than three strategies.
    """
    cells = _cells(frame)
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
            table = np.array([[score[name, strategy][seed] for seed in seeds[name]] for strategy in complete])
            for strategy, row in zip(complete, rankdata(table, axis=0), strict=True):
                ranks[strategy].append([float(rank) for rank in row])
        found.append(Ranking(float(level), workloads, ranks))
    return found


def agreements(ranking: Ranking) -> list[Agreement]:
    """Spearman's rho and Kendall's tau-b for each pair of workloads."""
    result = []
    for first, second in combinations(range(len(ranking.workloads)), 2):
        x, y = ([ranking.mean(strategy, place) for strategy in ranking.ranks] for place in (first, second))
        constant = len(set(x)) == 1 or len(set(y)) == 1
        rho = math.nan if constant else float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
        tau = math.nan if constant else float(kendalltau(x, y).statistic)
        names = ranking.workloads[first], ranking.workloads[second]
        result.append(Agreement(ranking.level, *names, len(x), rho, tau))
    return result


def ranking_figure(found: Sequence[Ranking]) -> Figure | None:
    """Ranks from workload to workload, a panel for each level; over eight strategies are a table of their mean ranks.

    Markers: mean rank over the seeds; bars: the range over the seeds.

    Returns:
        The figure, or None where there is no ranking.
    """
    if not found:
        return None
    if is_table(found):
        return ranking_table(found)
    panels = [(ranking, f"level {ranking.level:g}", list(ranking.ranks)) for ranking in found]
    lowest = max(len(ranking.ranks) for ranking in found)
    rows = math.ceil(len(panels) / 2)
    height = ROW * lowest + 0.15
    with paper_style():
        figure = Figure(figsize=(PAGE, rows * (height + 0.42)), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False)
        for index, axes in enumerate(grid.flat):
            axes.set_visible(index < len(panels))
            if index < len(panels):
                ranking, title, names = panels[index]
                _panel(axes, ranking, names, height)
                axes.set_title(title, loc="left")
                if index % 2 == 0:
                    axes.set_ylabel("rank,\n1 is the lowest")
        sns.despine(fig=figure)
    return figure


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell that can be ranked: its FID, infinite where it collapsed."""
    frame = frame[(frame["strategy"] != DENSE) & frame["requested"].notna()]
    parts = []
    for _, rows in frame.groupby("workload", sort=True):
        metric = lead_metric(rows["metric"])
        lost = rows[rows["status"] == "collapsed"].drop_duplicates(["strategy", "level", "seed"])
        kept = rows[(rows["status"] == "ok") & (rows["metric"] == metric) & rows["value"].notna()]
        parts += [lost.assign(value=math.inf), kept]
    if not parts:
        return frame.iloc[:0]
    cells = pd.concat(parts)
    achieved = cells["achieved_macs"].where(cells["target"] == "macs", cells["achieved_params"])
    return cells[(achieved - cells["requested"]).abs() <= SAME_SIZE]


def is_table(found: Sequence[Ranking]) -> bool:
    """Whether there are too many strategies for lines."""
    return max((len(ranking.ranks) for ranking in found), default=0) > MOST_LINES


def ranking_table(found: Sequence[Ranking]) -> Figure:
    """Mean ranks as a table: strategies down, the best on average first, levels and workloads across.

    The darker, the lower the rank; a dash: not ranked at that level.
    """
    columns = [(ranking, place) for ranking in found for place in range(len(ranking.workloads))]
    names = sorted(
        {name for ranking in found for name in ranking.ranks}, key=lambda name: (_average(name, columns), name)
    )
    values = np.array([[_rank(name, *column) for column in columns] for name in names])
    height = CELL * len(names) + 1.25
    with paper_style():
        figure = Figure(figsize=(PAGE, height), layout="constrained")
        axes = figure.subplots()
        cells = np.ma.masked_invalid(values)
        colours = matplotlib.colormaps["Blues_r"].with_extremes(bad="#f2f2f2")
        # From a fifth of the way up, so that the palest cell is still no missing one.
        axes.pcolormesh(cells, cmap=colours, vmin=1, vmax=1.25 * len(names), edgecolors="white", linewidth=0.5)
        for row, name in enumerate(names):
            for column, (ranking, place) in enumerate(columns):
                dark = values[row, column] < 0.45 * len(names)
                axes.text(
                    column + 0.5, row + 0.5, _cell(ranking.ranks.get(name), place), fontsize=6, ha="center",
                    va="center_baseline", color="white" if dark else "#222222",
                )  # fmt: skip
        axes.set_ylim(len(names), 0)
        axes.set_yticks(np.arange(len(names)) + 0.5, names)
        axes.set_xticks(np.arange(len(columns)) + 0.5, [ranking.workloads[place] for ranking, place in columns])
        axes.tick_params(length=0, pad=2)
        axes.tick_params(axis="x", rotation=90 if len(columns) > 6 else 0)
        start = 0
        for ranking in found:
            middle = start + len(ranking.workloads) / 2
            axes.text(middle, -0.35, f"level {ranking.level:g}", ha="center", va="bottom")
            start += len(ranking.workloads)
            if start < len(columns):
                axes.axvline(start, color="white", linewidth=4)
        sns.despine(fig=figure, left=True, bottom=True)
    return figure


def _rank(name: str, ranking: Ranking, place: int) -> float:
    return ranking.mean(name, place) if name in ranking.ranks else math.nan


def _average(name: str, columns: Sequence[tuple[Ranking, int]]) -> float:
    return fmean(rank for column in columns if not math.isnan(rank := _rank(name, *column)))


def _cell(ranks: list[list[float]] | None, place: int) -> str:
    """``4``; ``4.3`` where the seeds disagree."""
    if ranks is None:
        return "–"
    return f"{ranks[place][0]:g}" if len(set(ranks[place])) == 1 else f"{fmean(ranks[place]):.1f}"


def _panel(axes: Axes, ranking: Ranking, names: Sequence[str], height: float) -> None:
    count, places = len(ranking.ranks), range(len(ranking.workloads))
    axes.set_ylim(count + 0.5, 0.5)
    axes.set_xlim(-0.2, len(ranking.workloads) - 0.8)
    labels = []
    for index, strategy in enumerate(names):
        look = look_of(strategy)
        means = [ranking.mean(strategy, place) for place in places]
        shift = (index - (len(names) - 1) / 2) * min(2.4, 14 / len(names))
        moved = offset_copy(axes.transData, axes.get_figure(root=True), x=shift, units="points")
        low = [mean - min(ranking.ranks[strategy][place]) for place, mean in enumerate(means)]
        high = [max(ranking.ranks[strategy][place]) - mean for place, mean in enumerate(means)]
        axes.errorbar(
            list(places), means, yerr=[low, high], color=look.colour, marker=look.marker, linestyle=look.line,
            markersize=4.5, markeredgewidth=0, elinewidth=0.9, transform=moved, zorder=3,
        )  # fmt: skip
        labels.append(EndLabel(strategy, len(ranking.workloads) - 1.0, 1 - (means[-1] - 0.5) / count, look.colour))
    axes.set_xticks(list(places), ranking.workloads)
    axes.set_yticks(range(1, count + 1))
    axes.tick_params(axis="y", length=2)
    label_ends(axes, labels, height - 0.15)

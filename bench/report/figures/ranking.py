"""Whether strategies that are good on one workload are good on the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from bench.report.figures.axes import TITLE_AT
from bench.report.figures.labels import EndLabel, label_ends
from bench.report.rankings import Ranking, is_table
from bench.report.style import PAGE, look_of, paper_style

ROW = 0.17
"""Inches for a rank."""
CELL = 0.165
"""Inches: height of a row of the table."""


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
                axes.set_title(title, loc="left", y=TITLE_AT)
                if index % 2 == 0:
                    axes.set_ylabel(f"rank,\n1 is the {ranking.first}")
        sns.despine(fig=figure)
    return figure


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

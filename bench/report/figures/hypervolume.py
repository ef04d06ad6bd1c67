"""One dot a strategy: how much cost it saves over all tolerated losses of quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from bench.report.figures.axes import TITLE_AT
from bench.report.style import COLUMN, GREY, PAGE, look_of, paper_style
from bench.tables import strategy_order
from bench.tables.tidy import rows_of

ROW = 0.19
"""Inches for a strategy."""
LONGEST = 26
"""Characters of a strategy's or workload's name that fit into a column."""


def hypervolume_figure(table: pd.DataFrame) -> Figure | None:
    """Mean, 95 % t-interval and seeds of each strategy, a panel for each workload.

    Takes `hypervolume_table`'s rows of one checkpoint, target and recovery.
    Filled: of the MACs that dense kernels execute. Hollow: of the effective MACs of masked networks, which nothing
    realises (their executed MACs are those of dense, so they have no filled dot: it would stand at 0).

    Returns:
        The figure, or None where the table is empty.
    """
    workloads = sorted(set(table["workload"]))
    if not workloads:
        return None
    names = sorted(set(table["strategy"]), key=strategy_order)
    rows = rows_of(table)
    longest = max(map(len, names)), max(map(len, workloads))
    wide = len(workloads) > 1 or longest[0] > LONGEST or longest[1] > LONGEST
    columns = min(len(workloads), max(1, int((PAGE - 0.06 * longest[0]) // max(1.2, 0.065 * longest[1]))))
    lines = -(-len(workloads) // columns)
    size = (PAGE if wide else COLUMN, lines * (ROW * len(names) + 0.35) + 0.55)
    with paper_style():
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for index, axes in enumerate(grid.flat):
            axes.set_visible(index < len(workloads))
            if index < len(workloads):
                _panel(axes, [row for row in rows if row["workload"] == workloads[index]], names)
                axes.set_title(workloads[index], loc="left", y=TITLE_AT)
                axes.tick_params(labelbottom=index + columns >= len(workloads))
        right = max([0.01, *table["mean"], *table["high"].dropna()])
        grid[0, 0].set_xlim(-0.025 * right, 1.03 * right)
        figure.supxlabel("hypervolume (decades of MACs saved), higher is better", fontsize=8)
        if not all(row["physical"] for row in rows):
            figure.legend(handles=_handles(), loc="outside upper right", ncols=2, frameon=False, borderpad=0)
        sns.despine(fig=figure, left=True)
    return figure


def _panel(axes: Axes, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    for row in rows:
        hollow = row["cost"] == "macs_effective"
        if bool(row["physical"]) == hollow:
            continue
        _dot(axes, row, len(names) - 1 - names.index(str(row["strategy"])), hollow=hollow)
    for strategy in set(names) - {str(row["strategy"]) for row in rows}:
        y = len(names) - 1 - names.index(strategy)
        axes.annotate(
            "none", (0, y), (0, 0), textcoords="offset points", fontsize=6, color=GREY, va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", linewidth=0.4, color="#dddddd")
    axes.set_axisbelow(True)


def _dot(axes: Axes, row: dict[str, Any], y: int, *, hollow: bool) -> None:
    look = look_of(str(row["strategy"]))
    mean, half = float(row["mean"]), float(row["ci95"])
    axes.errorbar(
        [mean], [y], xerr=[[0.0 if math.isnan(half) else half]] * 2, color=look.colour, marker=look.marker,
        markersize=4.5, linestyle="none", elinewidth=0.9, capsize=1.5, capthick=0.9,
        markerfacecolor="white" if hollow else look.colour, markeredgecolor=look.colour,
        markeredgewidth=0.9 if hollow else 0, zorder=3,
    )  # fmt: skip
    below = offset_copy(axes.transData, axes.get_figure(root=True), y=-4.2, units="points")
    axes.plot(
        row["values"], [y] * len(row["values"]), color=look.colour, marker="|", markersize=3, markeredgewidth=0.6,
        linestyle="none", zorder=2, transform=below,
    )  # fmt: skip


def _handles() -> list[Line2D]:
    style: dict[str, Any] = {"color": GREY, "marker": "o", "linestyle": "none", "markersize": 4.5}
    return [
        Line2D([], [], label="executed", markeredgewidth=0, **style),
        Line2D([], [], label="theoretical (masks)", markerfacecolor="white", markeredgewidth=0.9, **style),
    ]

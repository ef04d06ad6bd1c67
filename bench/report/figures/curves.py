"""How quality comes back while pruned generators train."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.axes import TITLE_AT, logarithmic_axis, padded
from bench.report.style import COLUMN, PAGE, look_of, paper_style
from bench.tables import granularity_of, strategy_order
from bench.tables.naming import DENSE

MOST_LINES = 8
"""Lines in a panel, dense among them."""
COLUMNS = 4
"""Panels side by side."""
PANEL = 1.55
"""Height of a panel in inches."""

Panel = tuple[str, str, list[str]]
"""Level, the panel's group (granularity), strategies."""


def curves_figure(
    frame: pd.DataFrame, metric: str, label: str, limits: tuple[float, float] | None = None
) -> Figure | None:
    """``metric`` over the training steps, a panel for each level and granularity, dense in each.

    Takes `curves_frame`'s rows of one workload and recovery. Thick: the mean of the seeds, where all of them have a
    value; thin: each seed. The scale is the same in all panels: linear between ``limits``, without them logarithmic
    where all values are positive. ``label`` is the axis'.

    Returns:
        The figure, or None where no pruned cell has a curve of that metric.
    """
    rows = frame[(frame["metric"] == metric) & frame["value"].map(math.isfinite)]
    lines = _lines(rows)
    if not lines:
        return None
    columns = max(map(len, lines))
    names = sorted({name for line in lines for _, _, names in line for name in names}, key=strategy_order)
    if DENSE in set(rows["strategy"]):
        names = [DENSE, *names]
    width = COLUMN if columns == 1 else PAGE
    longest = max(map(len, names))
    across = max(1, int(width // (0.45 + 0.056 * longest)))
    height = len(lines) * PANEL + 0.45 + 0.15 * math.ceil(len(names) / across)
    with paper_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(len(lines), columns, squeeze=False, sharex=True, sharey=True)
        values = [float(value) for value in rows["value"]]
        if limits:
            grid[0, 0].set_ylim(limits)
        elif min(values) > 0:
            logarithmic_axis(grid[0, 0].yaxis, padded(values))
            grid[0, 0].set_ylim(padded(values))
        for line, row in zip(lines, grid, strict=True):
            row[0].set_ylabel(label)
            for index, axes in enumerate(row):
                axes.set_visible(index < len(line))
            for axes, (level, group, strategies) in zip(row, line, strict=False):
                _panel(axes, rows, level, strategies)
                # A knob's own level is long, and says which strategy it belongs to.
                title = level if _number(level) is None else f"{group} pruning, {_level(level)}"
                axes.set_title(title, loc="left", y=TITLE_AT, fontsize=7)
        for index in range(columns):
            lowest = [row[index] for row in grid if row[index].get_visible()][-1]
            lowest.set_xlabel("training steps")
            lowest.tick_params(labelbottom=True)
        figure.legend(
            handles=[_handle(name) for name in names],
            loc="outside lower center",
            ncols=across,
            frameon=False,
            handlelength=2.4,
        )
        sns.despine(fig=figure)
    return figure


def _handle(strategy: str) -> Line2D:
    look = look_of(strategy)
    return Line2D(
        [], [], color=look.colour, marker=look.marker, markersize=3.5, markeredgewidth=0, linestyle=look.line,
        label=strategy,
    )  # fmt: skip


def _lines(rows: pd.DataFrame) -> list[list[Panel]]:
    """A line of panels for each granularity (or a chunk of it), at most four levels in each."""
    pruned = rows[rows["strategy"] != DENSE]
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in sorted(set(pruned["strategy"]), key=strategy_order):
        own = all(_number(level) is None for level in pruned.loc[pruned["strategy"] == name, "level"])
        groups.setdefault((own, granularity_of(name)), []).append(name)
    lines: list[list[Panel]] = []
    for (_, granularity), names in sorted(groups.items(), key=lambda item: item[0][0]):
        size = math.ceil(len(names) / math.ceil(len(names) / (MOST_LINES - 1)))
        for start in range(0, len(names), size):
            chunk = names[start : start + size]
            levels = sorted(set(pruned.loc[pruned["strategy"].isin(chunk), "level"]), key=_order)
            panels = [(level, granularity, [name for name in chunk if _has(pruned, name, level)]) for level in levels]
            lines += [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    if all(len(line) == 1 for line in lines):  # a single level: side by side instead of one below the other
        single = [line[0] for line in lines]
        return [single[first : first + 2] for first in range(0, len(single), 2)]
    return lines


def _has(rows: pd.DataFrame, strategy: str, level: str) -> bool:
    return bool(((rows["strategy"] == strategy) & (rows["level"] == level)).any())


def _order(level: str) -> tuple[bool, float, str]:
    number = _number(level)
    return (number is None, number or 0.0, level)


def _number(level: str) -> float | None:
    try:
        return float(level)
    except ValueError:
        return None


def _level(level: str) -> str:
    return level if _number(level) is None else f"level {level}"


def _panel(axes: Axes, rows: pd.DataFrame, level: str, strategies: Sequence[str]) -> None:
    for strategy in (DENSE, *strategies):
        mine = rows[rows["strategy"] == strategy]
        if strategy != DENSE:
            mine = mine[mine["level"] == level]
        if mine.empty:
            continue
        look = look_of(strategy)
        table = mine.pivot_table(index="step", columns="seed", values="value")
        if table.shape[1] > 1:
            for seed in table:
                one = table[seed].dropna()
                axes.plot(one.index, one, color=look.colour, linewidth=0.4, alpha=0.7, zorder=2)
        mean = table.dropna().mean(axis=1)
        axes.plot(
            mean.index, mean, color=look.colour, linestyle=look.line, linewidth=1.2, marker=look.marker, markersize=3.5,
            markeredgewidth=0, markevery=(len(mean) - 1) // 4 or 1, zorder=4 if strategy == DENSE else 3,
        )  # fmt: skip

"""Measured against theoretical speed-up: the same pruned networks, run by different libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.report.figures.axes import TITLE_AT, logarithmic_axis, padded
from bench.report.style import GREY, PAGE, SMALL, paper_style
from bench.tables.backends import place

LOOKS = (
    ("#0072B2", "o"), ("#56B4E9", "s"), ("#CC79A7", "D"), ("#D55E00", "^"), ("#009E73", "v"), ("#E69F00", "P"),
    ("#333333", "X"), ("#8c8c8c", "*"), ("#882255", "<"), ("#44AA99", ">"),
    ("#999933", "p"), ("#332288", "h"), ("#AA4499", "d"),
)  # fmt: skip
"""Colour and marker of each backend, in their order."""
PANEL = 2.4
"""Height of a panel in inches."""


def backends_figure(table: pd.DataFrame) -> Figure | None:
    """A colour for each backend, a panel for each workload and batch size; None with less than two backends."""
    table = table[table["speedup"].gt(0) & table["speedup_theoretical"].gt(0)]
    if table["backend"].nunique() < 2:
        return None
    panels = list(table.groupby(["workload", "batch"], sort=True))
    backends = sorted(set(table["backend"]), key=place)
    looks = {name: LOOKS[place(name)[0] % len(LOOKS)] for name in backends}
    columns, rows = min(2, len(panels)), math.ceil(len(panels) / 2)
    with paper_style():
        engine = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06)
        figure = Figure(figsize=(PAGE, PANEL * rows + 0.5), layout=engine)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, ((workload, batch), group) in zip(grid, panels, strict=False):
            across = padded([1.0, *map(float, group["speedup_theoretical"])])
            logarithmic_axis(axes.xaxis, across)
            logarithmic_axis(axes.yaxis, padded([1.0, *map(float, group["speedup"])]))
            axes.plot(across, across, color=GREY, linewidth=0.6, zorder=1)
            axes.axhline(1.0, color=GREY, linewidth=0.6, linestyle=":", zorder=1)
            for name, points in group.groupby("backend", sort=False):
                colour, marker = looks[name]
                _points(axes, points, colour, marker)
            axes.set_xlim(across)
            axes.set_ylim(padded([1.0, *map(float, group["speedup"])]))
            axes.set_title(f"{workload}, batch {float(str(batch)):g}", loc="left", y=TITLE_AT)
            axes.set_xlabel("theoretical speed-up (dense / effective MACs)")
            axes.set_ylabel("measured speed-up")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = [
            grid[0].plot([], [], color=looks[name][0], marker=looks[name][1], linestyle="none", label=name)[0]
            for name in backends
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False, fontsize=SMALL)
        sns.despine(fig=figure)
    return figure


def _points(axes: Axes, points: pd.DataFrame, colour: str, marker: str) -> None:
    x: Sequence[float] = points["speedup_theoretical"].tolist()
    y: Sequence[float] = points["speedup"].tolist()
    axes.plot(x, y, color=colour, marker=marker, linestyle="none", markersize=4, alpha=0.8, zorder=3)

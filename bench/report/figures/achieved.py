"""What was asked for against what was reached."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from bench.report.figures.axes import TITLE_AT
from bench.report.style import COLUMN, GREY, PAGE, SMALL, look_of, paper_style
from bench.tables import strategy_order
from bench.tables.naming import DENSE

MOST_LINES = 8
"""Strategies in a panel."""
LEFT, GAP, TITLE, BELOW = 0.48, 0.2, 0.36, 0.36
"""Inches left of the panels, between them, above each, and below the last ones."""
LONGEST = 28
"""Characters of a workload's name above its panel."""
APART = 3.0
"""Points along the diagonal between strategies that reach the same."""
MEASURES = {"achieved_params": "parameters", "achieved_macs": "MACs"}

Panel = tuple[str, str, str, list[str]]
"""Title, workload, measure, strategies."""


def achieved_figure(frame: pd.DataFrame) -> Figure | None:
    """Achieved sparsity (of parameters, of effective MACs) against the requested one; `tidy` rows of a slice.

    A pair of panels for each workload and granularity, at most eight strategies in each. Strategies that reach the
    same are moved apart along the diagonal, which leaves their distance to it as it is. Every seed is a short
    stroke, means are joined. Strategies with a knob of their own request no sparsity and are left out.

    Returns:
        The figure, or None where nothing was requested or reached.
    """
    cells = frame[(frame["strategy"] != DENSE) & frame["requested"].notna() & frame["achieved_params"].notna()]
    cells = cells.drop_duplicates(["workload", "strategy", "level", "seed"])
    panels = _panels(cells)
    if not panels:
        return None
    columns = 2 if len(panels) <= 2 else 4
    rows = math.ceil(len(panels) / columns)
    names = sorted(set(cells["strategy"]), key=strategy_order)
    width = PAGE if columns == 4 else COLUMN
    across = max(1, int(width // (0.5 + 0.056 * max(map(len, names)))))
    side = (width - LEFT - 0.1 - (columns - 1) * GAP) / columns
    legend = 0.08 + 0.15 * math.ceil((len(names) + 1) / across)
    height = rows * (side + TITLE) + BELOW + legend
    with paper_style():
        figure = Figure(figsize=(width, height))
        for index, (title, workload, measure, strategies) in enumerate(panels):
            row, column = divmod(index, columns)
            left, bottom = LEFT + column * (side + GAP), height - (row + 1) * (side + TITLE)
            axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
            _panel(axes, cells[cells["workload"] == workload], measure, strategies)
            axes.set_title(title, loc="left", y=TITLE_AT, fontsize=SMALL, pad=4)
            axes.tick_params(labelbottom=index + columns >= len(panels), labelleft=column == 0)
            if index + columns >= len(panels):
                axes.set_xlabel("requested sparsity")
            if column == 0:
                axes.set_ylabel("achieved sparsity")
        figure.legend(
            handles=[*map(_handle, names), Line2D([], [], color=GREY, linewidth=0.6, label="as requested")],
            loc="lower center",
            bbox_to_anchor=(0.5, 0.0),
            borderaxespad=0.2,
            ncols=across,
            frameon=False,
            handlelength=2.2,
            columnspacing=1.2,
            labelspacing=0.3,
        )
        sns.despine(fig=figure)
    return figure


def _panels(cells: pd.DataFrame) -> list[Panel]:
    """Pairs of parameters and MACs; MACs stay out where nobody counted them."""
    found: list[Panel] = []
    for workload in sorted(set(cells["workload"])):
        mine = cells[cells["workload"] == workload]
        for granularity in sorted(set(mine["granularity"]), key=lambda name: (name != "weight", name)):
            rows = mine[mine["granularity"] == granularity]
            names = sorted(set(rows["strategy"]), key=strategy_order)
            for start in range(0, len(names), MOST_LINES):
                for measure, label in MEASURES.items():
                    shown = workload if len(workload) <= LONGEST else workload[: LONGEST - 1] + "…"
                    title = f"{shown}\n{granularity} pruning, {label}"
                    found.append((title, str(workload), measure, names[start : start + MOST_LINES]))
    return found


def _panel(axes: Axes, cells: pd.DataFrame, measure: str, strategies: Sequence[str]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, zorder=1)
    figure = axes.get_figure(root=True)
    assert figure is not None
    for index, strategy in enumerate(strategies):
        rows = cells[(cells["strategy"] == strategy) & cells[measure].notna()]
        points = rows.groupby("requested")[measure].mean()
        shift = (index - (len(strategies) - 1) / 2) * APART / math.sqrt(2) / 72
        moved = axes.transData + ScaledTranslation(shift, shift, figure.dpi_scale_trans)
        look = look_of(strategy)
        axes.plot(
            points.index, points, color=look.colour, marker=look.marker, linestyle=look.line, linewidth=0.7,
            markersize=3.5, markeredgewidth=0, transform=moved, zorder=3, clip_on=False,
        )  # fmt: skip
        axes.plot(
            rows["requested"], rows[measure], color=look.colour, marker="_", markersize=5, markeredgewidth=0.6,
            linestyle="none", transform=moved, zorder=4, clip_on=False,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])


def _handle(strategy: str) -> Line2D:
    look = look_of(strategy)
    return Line2D(
        [], [], color=look.colour, marker=look.marker, linestyle=look.line, linewidth=0.9, markeredgewidth=0,
        label=strategy,
    )  # fmt: skip

"""Speed-up by backend: the same pruned networks, run by different libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.report.axes import logarithmic_axis, padded
from bench.report.figures import Drawn
from bench.report.markdown import section
from bench.report.style import GREY, PAGE, SMALL, paper_style
from bench.tables import escape, markdown_table
from bench.tables.backends import place
from bench.tables.text import MISSING
from bench.tables.tidy import rows_of

LOOKS = (
    ("#0072B2", "o"), ("#56B4E9", "s"), ("#CC79A7", "D"), ("#D55E00", "^"), ("#009E73", "v"), ("#E69F00", "P"),
    ("#333333", "X"), ("#8c8c8c", "*"),
)  # fmt: skip
"""Colour and marker of each backend, in their order."""
PANEL = 2.4
"""Height of a panel in inches."""


def backends_section(table: pd.DataFrame) -> str:
    """Theoretical and measured speed-up side by side, a column for each backend; empty with less than two backends.

    ``table`` is that of `bench.tables.backends.by_backend`.
    """
    if table["backend"].nunique() < 2:
        return ""
    ways = list(table[["device", "backend"]].drop_duplicates().itertuples(index=False, name=None))
    ways.sort(key=lambda way: (way[0], place(way[1])))
    several = len({device for device, _ in ways}) > 1
    names = [f"{backend} ({device})" if several else str(backend) for device, backend in ways]
    lines: dict[tuple[object, ...], dict[tuple[str, str], dict[str, object]]] = {}
    for row in rows_of(table):
        key = (row["workload"], row["strategy"], row["level"], int(row["batch"]), row["speedup_theoretical"])
        lines.setdefault(key, {})[(row["device"], row["backend"])] = row
    body = [
        [
            *(escape(word) for word in key[:4]),
            _times(key[4]),
            *(_measured(found[way]) if way in found else MISSING for way in ways),
        ]
        for key, found in lines.items()
    ]
    text = (
        "Dense time / pruned time, both through the same backend, with the 95 % interval within the one process that "
        "measured it, and milliseconds a call of the pruned network: a backend that is slow for dense can show a large "
        "ratio. Theoretical: dense MACs / effective MACs. Before a network is timed through another backend than "
        "eager, its output is compared with eager PyTorch's in float32."
    )
    return section(
        "Theoretical and realised speed-up by backend",
        text,
        _exceptions(table),
        markdown_table(["workload", "strategy", "level", "batch", "theoretical", *map(escape, names)], body, left=3),
        "Exporting and compiling, once for each network, is no part of these times:",
        _preparing(table),
        _without(table),
    )


def _exceptions(table: pd.DataFrame) -> str:
    """Where the dense network does not run through the backend itself."""
    other = table[table["dense_backend"] != table["backend"]][["backend", "dense_backend"]].drop_duplicates()
    words = [f"under {row['backend']} dense runs {row['dense_backend']}, as it would without" for row in rows_of(other)]
    return escape("; ".join(words)).capitalize() + "." if words else ""


def _preparing(table: pd.DataFrame) -> str:
    rows = []
    for backend in sorted(set(table["backend"]), key=place):
        group = table[table["backend"] == backend]
        medians = [group[f"prepare_{member}_seconds"].median() for member in ("dense", "pruned")]
        error = group["output_error"].max()
        seconds = [f"{value:.3g}" if math.isfinite(value) else MISSING for value in medians]
        rows.append([escape(backend), *seconds, f"{error:.1e}" if math.isfinite(error) else MISSING])
    headers = ["backend", "seconds, dense", "seconds, pruned", "largest difference of an output"]
    return markdown_table(headers, rows)


def _without(table: pd.DataFrame) -> str:
    """What has no number, and why, each reason once."""
    missing = table[~table["status"].isin(["ok", "same-as-dense"])]
    reasons = {
        f"- {escape(row['backend'])}, {escape(row['workload'])}: {escape(row['status'])}. {escape(row['reason'])}"
        for row in rows_of(missing)
    }
    return "\n".join(sorted(reasons))


def _times(value: object) -> str:
    return f"{value:.2f}x" if isinstance(value, float) and math.isfinite(value) else MISSING


def _measured(row: dict[str, object]) -> str:
    shown = _times(row["speedup"])
    if shown == MISSING:
        return escape(row["status"])
    if row["speedup_low"] != row["speedup_high"]:
        shown += f" [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"
    return f"{shown}, {row['pruned_ms']:.3g} ms"


def backend_figures(table: pd.DataFrame) -> list[Drawn]:
    """Measured against theoretical speed-up, a colour for each backend; nothing with less than two backends."""
    usable = table[table["speedup"].gt(0) & table["speedup_theoretical"].gt(0)]
    if usable["backend"].nunique() < 2:
        return []
    text = "Measured against theoretical speed-up by backend; diagonal: what the MACs promise; dotted: no gain"
    return [Drawn("speedup-backends", text, _figure(usable))]


def _figure(table: pd.DataFrame) -> Figure:
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
            axes.set_title(f"{workload}, batch {float(str(batch)):g}", loc="left")
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

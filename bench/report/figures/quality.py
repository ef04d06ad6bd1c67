"""Quality against achieved sparsity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.axes import TITLE_AT, logarithmic_axis
from bench.report.figures.labels import EndLabel, label_ends
from bench.report.style import COLUMN, GREY, PAGE, SMALL, Look, look_of, paper_style
from bench.report.words import quality_label
from bench.tables import strategy_order
from bench.tables.lead import Judge, power_for
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

MOST_LINES = 8
"""Lines in a panel; more strategies of one granularity go into further panels."""
PANEL = 2.0
"""Height of a panel in inches."""
LONGEST = 34
"""Characters of a name that still fit at the end of its line."""

DRAWN = ("mean", "ci95", "low", "high")
"""Numbers of `aggregate` that are drawn."""

_NO_FLOORS: Mapping[str, str] = MappingProxyType({})

Row = dict[str, Any]


def quality_figure(
    frame: pd.DataFrame, aggregated: pd.DataFrame, judge: Judge, floors: Mapping[str, str] = _NO_FLOORS
) -> Figure | None:
    """What judges, against the achieved sparsity of the parameters, a panel for each workload and granularity.

    Takes `tidy` and `aggregate`d rows of one checkpoint, target and recovery. Drawn: means with 95 %
    intervals, every seed as a short horizontal stroke, the dense mean as a line, the noise floor (the
    number ``<family>_floor[...]`` of the dense cells, real against real) as a band, collapsed seeds hollow at
    the bad edge. Logarithmic where the values of a workload span more than a decade.

    Args:
        floors: workload -> what its noise floor is called; of a workload that is missing none is drawn.

    Returns:
        The figure, or None where no cell has a place in it.
    """
    metric = judge.metric
    power = power_for(judge.quantity, aggregated.loc[aggregated["metric"] == metric, "mean"])
    frame, aggregated = _times(frame, metric, ["value"], power), _times(aggregated, metric, DRAWN, power)
    pruned = [row for row in rows_of(frame) if row["strategy"] != DENSE and not math.isnan(row["achieved_params"])]
    drawn = [row for row in pruned if row["metric"] == metric or row["status"] == "collapsed"]
    panels = _panels(drawn)
    if not panels:
        return None
    lines = _lines(panels)
    columns = max(len(line) for line in lines)
    size = (PAGE if columns > 1 else COLUMN, PANEL * len(lines) + 0.45)
    longest = max(len(name) for line in lines for _, _, names in line for name in names)
    with paper_style():
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(lines), columns, squeeze=False)
        for line, row in zip(lines, grid, strict=True):
            row[0].set_ylabel(quality_label(judge.quantity, metric, power).replace(", ", ",\n"))
            for axes in row[len(line) :]:
                axes.set_visible(False)
            for axes, (workload, title, strategies) in zip(row, line, strict=False):
                logarithmic = _spans_a_decade(frame, workload, metric)
                scale = _scale(frame, aggregated, workload, metric, logarithmic)
                _setup(axes, scale, logarithmic, f"{workload}, {title}")
                floor = floors.get(workload, "")
                _panel(axes, frame, aggregated, workload, metric, strategies, floor, label=longest <= LONGEST)
        for index in range(columns):
            last = [row[index] for row in grid if row[index].get_visible()][-1]
            last.set_xlabel("achieved sparsity of the parameters")
        if longest > LONGEST:
            _legend(figure, {name for line in lines for _, _, names in line for name in names}, columns)
        sns.despine(fig=figure)
    return figure


def _times(table: pd.DataFrame, metric: str, columns: Sequence[str], power: int) -> pd.DataFrame:
    """The table with this metric's numbers times ten to the ``power``."""
    return table.assign(**{
        name: table[name].where(table["metric"] != metric, table[name] * 10.0**power) for name in columns
    }) if power else table  # fmt: skip


def _lines(panels: dict[str, list[tuple[str, list[str]]]]) -> list[list[tuple[str, str, list[str]]]]:
    """Panels in lines of two: a line for each workload, or two workloads a line where each has one panel."""
    flat = {workload: [(workload, *panel) for panel in found] for workload, found in panels.items()}
    if all(len(found) == 1 for found in flat.values()):
        flat = {"": [panel for found in flat.values() for panel in found]}
    return [found[start : start + 2] for found in flat.values() for start in range(0, len(found), 2)]


def _panels(rows: Sequence[Row]) -> dict[str, list[tuple[str, list[str]]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        found.setdefault(row["workload"], {}).setdefault(row["granularity"], set()).add(row["strategy"])
    result: dict[str, list[tuple[str, list[str]]]] = {}
    for workload in sorted(found):
        for granularity in sorted(found[workload], key=lambda name: (name != "weight", name)):
            names = sorted(found[workload][granularity], key=strategy_order)
            chunks = [names[start : start + MOST_LINES] for start in range(0, len(names), MOST_LINES)]
            part = [
                f"{granularity} pruning" + (f", part {n + 1}" if len(chunks) > 1 else "") for n in range(len(chunks))
            ]
            result.setdefault(workload, []).extend(zip(part, chunks, strict=True))
    return result


def _values(frame: pd.DataFrame, workload: str, metric: str) -> list[float]:
    rows = frame[(frame["workload"] == workload) & (frame["metric"] == metric) & (frame["status"] == "ok")]
    return [float(value) for value in rows["value"] if math.isfinite(value)]


def _spans_a_decade(frame: pd.DataFrame, workload: str, metric: str) -> bool:
    values = _values(frame, workload, metric)
    return bool(values) and min(values) > 0 and max(values) / min(values) > 10


def _direction(frame: pd.DataFrame, metric: str) -> str:
    found = frame.loc[frame["metric"] == metric, "direction"].tolist()
    return str(found[0]) if found else "none"


class _Scale(NamedTuple):
    """Limits of the vertical axis, and of the part of it that stands for values: what collapsed has none."""

    limits: tuple[float, float]
    values: tuple[float, float]


def _scale(
    frame: pd.DataFrame, aggregated: pd.DataFrame, workload: str, metric: str, logarithmic: bool
) -> _Scale | None:
    """The axis around seeds and intervals, with room at the bad edge where something collapsed."""
    values = _values(frame, workload, metric)
    if not values:
        return None
    rows = aggregated[(aggregated["workload"] == workload) & (aggregated["metric"] == metric)]
    values += [value for name in ("low", "high") for value in rows[name] if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    low, high = (math.log10(min(positive)), math.log10(max(positive))) if logarithmic else (min(values), max(values))
    if logarithmic:
        low = max(low, math.log10(min(_values(frame, workload, metric))) - 0.25)
    span = (high - low) or abs(high) or 1.0
    low, high = low - 0.06 * span, high + 0.06 * span
    inner, count = (low, high), len(_collapsed(frame, workload))
    if count:  # enough for a panel that holds them all
        room = (high - low) * _edge(count) / (1 - _edge(count))
        low, high = (low - room, high) if _direction(frame, metric) == "higher" else (low, high + room)
    if logarithmic:
        return _Scale((10**low, 10**high), (10 ** inner[0], 10 ** inner[1]))
    return _Scale((low, high), inner)


def _collapsed(frame: pd.DataFrame, workload: str) -> list[str]:
    """Strategies of a workload with a collapsed seed, in order; each has a row of its own at the edge."""
    rows = frame[(frame["workload"] == workload) & (frame["status"] == "collapsed")]
    return sorted(set(rows["strategy"]), key=strategy_order)


def _edge(count: int) -> float:
    """Share of the height that the rows of collapsed seeds take."""
    return min(0.055 * count + 0.03, 0.4)


def _setup(axes: Axes, scale: _Scale | None, logarithmic: bool, title: str) -> None:
    axes.set_title(title, loc="left", y=TITLE_AT)
    axes.set_xlim(0, 1)
    axes.xaxis.set_tick_params(labelbottom=True)
    if scale is None:
        axes.set_yticks([])
        return
    if logarithmic:
        logarithmic_axis(axes.yaxis, scale.limits)
    axes.set_ylim(*scale.limits)
    if scale.values != scale.limits:  # a tick beside what collapsed would give it a value
        low, high = scale.values
        for minor in (False, True):
            axes.set_yticks([tick for tick in axes.get_yticks(minor=minor) if low <= tick <= high], minor=minor)


def _panel(
    axes: Axes,
    frame: pd.DataFrame,
    aggregated: pd.DataFrame,
    workload: str,
    metric: str,
    strategies: Sequence[str],
    floor: str,
    *,
    label: bool,
) -> None:
    labels = _reference_lines(axes, aggregated, workload, metric, floor)
    mine = aggregated["workload"] == workload
    upside = _direction(frame, metric) == "higher"
    collapsed = [name for name in _collapsed(frame, workload) if name in strategies]
    depth = _edge(len(_collapsed(frame, workload))) / (len(collapsed) + 0.5)
    for strategy in strategies:
        rows = aggregated[mine & (aggregated["metric"] == metric) & (aggregated["strategy"] == strategy)]
        shown = rows[rows["mean"].notna()].sort_values("achieved_params")
        look = look_of(strategy)
        x, y = shown["achieved_params"].to_numpy(), shown["mean"].to_numpy()
        axes.errorbar(
            x,
            y,
            yerr=shown["ci95"].fillna(0).to_numpy(),
            color=look.colour,
            marker=look.marker,
            linestyle=look.line,
            markersize=4,
            elinewidth=0.8,
            capsize=1.5,
            markeredgewidth=0,
            label=strategy,
            zorder=3,
        )
        seeds = frame[(frame["workload"] == workload) & (frame["metric"] == metric) & (frame["strategy"] == strategy)]
        seeds = seeds[seeds["status"] == "ok"]
        axes.scatter(
            seeds["achieved_params"],
            seeds["value"],
            s=45,
            marker="_",
            color=look.colour,
            linewidths=0.6,
            zorder=4,
        )
        cells = frame[(frame["workload"] == workload) & (frame["strategy"] == strategy)]
        cells = cells.drop_duplicates(["level", "seed"])
        if strategy in collapsed:
            y_edge = depth * (collapsed.index(strategy) + 0.6)
            y_edge = y_edge if upside else 1 - y_edge
            x_edge = _collapsed_points(axes, cells, look, y_edge)
        if len(x):
            height = float(axes.transAxes.inverted().transform(axes.transData.transform((x[-1], y[-1])))[1])
            labels.append(EndLabel(strategy, float(x[-1]), height, look.colour))
        elif strategy in collapsed:
            labels.append(EndLabel(strategy, x_edge, y_edge, look.colour))
    if collapsed:
        labels.append(EndLabel("hollow: collapsed", 1.0, 0.02 if upside else 0.98, GREY, leader=False))
    known = [end for end in labels if label or end.text not in strategies]
    label_ends(axes, known, PANEL - 0.45)


def _reference_lines(axes: Axes, aggregated: pd.DataFrame, workload: str, metric: str, called: str) -> list[EndLabel]:
    """The dense value as a line and the noise floor as a band, with their labels; ``called``: the floor's, empty: it
    is not drawn.
    """
    dense = aggregated[(aggregated["workload"] == workload) & (aggregated["strategy"] == DENSE)]
    labels = []
    for value in dense.loc[dense["metric"] == metric, "mean"]:
        if math.isfinite(value):
            axes.axhline(value, color="#333333", linewidth=0.6, zorder=1)
            labels.append(EndLabel(f"dense {value:.3g}", 1.0, _fraction(axes, value), "#333333"))
    family, _, rest = metric.partition("[")
    for floor in dense.loc[dense["metric"] == f"{family}_floor[{rest}", "mean"] if called else ():
        if math.isfinite(floor):
            bottom, top = axes.get_ylim()
            axes.axhspan(min(bottom, floor), max(bottom, floor), color="#000000", alpha=0.08, linewidth=0, zorder=0)
            axes.set_ylim(bottom, top)
            height = _fraction(axes, floor)
            where = ", below" if height < 0 else ""
            labels.append(EndLabel(f"{called} {floor:.3g}{where}", 1.0, max(height, 0.0), GREY))
    return labels


def _fraction(axes: Axes, value: float) -> float:
    return float(axes.transAxes.inverted().transform(axes.transData.transform((0, value)))[1])


def _collapsed_points(axes: Axes, rows: pd.DataFrame, look: Look, y: float) -> float:
    """Hollow markers at the bad edge, one for each level, with the share of the seeds; returns the last one's
    x.
    """
    last = 0.0
    for level, group in rows[rows["status"] == "collapsed"].groupby("level"):
        x = float(group["achieved_params"].mean())
        last = max(last, x)
        axes.plot(
            [x],
            [y],
            marker=look.marker,
            markersize=4,
            markerfacecolor="none",
            markeredgecolor=look.colour,
            markeredgewidth=0.8,
            linestyle="none",
            transform=axes.get_xaxis_transform(),
            zorder=4,
            clip_on=False,
        )
        total = int((rows["level"] == level).sum())
        if len(group) < total:
            axes.text(
                x - 0.03,
                y,
                f"{len(group)}/{total}",
                transform=axes.get_xaxis_transform(),
                fontsize=6,
                color=look.colour,
                va="center",
                ha="right",
            )
    return last


def _legend(figure: Figure, names: set[str], columns: int) -> None:
    handles = []
    for name in sorted(names, key=strategy_order):
        look = look_of(name)
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=SMALL)

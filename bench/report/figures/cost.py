"""Quality against what a network costs, and what the cost saving is worth on a clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from bench.report.figures.axes import TITLE_AT, logarithmic_axis, padded
from bench.report.style import GREY, PAGE, SMALL, Look, look_of, paper_style
from bench.report.words import quality_label
from bench.tables import strategy_order
from bench.tables.lead import Judge, power_for, scaled
from bench.tables.naming import DENSE
from bench.tables.summary import SHOWN_BATCHES
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

FADED = 0.3
MOST_NAMED = 8
"""Strategies with a look of their own in a panel; of more, only those on a front are named."""
MASKED, REMOVED = "#56B4E9", "#D55E00"
"""Speed-ups of more strategies than that: masked ones and physically smaller ones."""
PANEL = 2.25
"""Height of a panel in inches."""

Row = dict[str, Any]


class Judged(NamedTuple):
    """What is drawn upwards in a panel."""

    quantity: Quantity
    metric: str
    power: int
    """The power of ten that it is shown times."""

    @property
    def label(self) -> str:
        return quality_label(self.quantity, self.metric, self.power).replace(", ", ",\n")


@dataclass(frozen=True)
class Point:
    """One row of the main table in a cost-quality plane; a lower cost is better, the quality has its own direction."""

    strategy: str
    cost: float
    quality: float
    half: float = 0.0
    """Half width of the interval of the quality; 0 where there is none."""
    low: float = math.nan
    high: float = math.nan
    """Interval of the cost; NaN where it is exact."""
    hollow: bool = False
    """A cost that nothing on this machine realises."""


def front(points: Sequence[Point], sign: float = 1.0) -> list[Point]:
    """The points that no other one beats in cost and quality, by rising cost; ``sign`` is -1 where more is better."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, sign * point.quality)):
        if not kept or sign * point.quality < sign * kept[-1].quality:
            kept.append(point)
    return kept


def macs_figure(summary: pd.DataFrame, judges: Mapping[str, Judge]) -> Figure | None:
    """What judges against MACs, a panel for each workload.

    Takes `summarise`'s rows of one checkpoint, target and recovery; a workload that nothing judges has no panel.

    Filled: the MACs that dense kernels execute. Hollow: the effective MACs of masked networks, theoretical
    because nothing skips the zeros. Lines: the non-dominated front of the filled points, and dotted that of
    all.
    """
    panels = {}
    judged = _judged(summary, judges)
    for workload, rows in _by_workload(summary).items():
        if workload in judged:
            of = judged[workload]
            points = [_point(row, row["macs_dense"] / 1e6, of) for row in rows]
            points += [_point(row, row["macs_effective"] / 1e6, of, hollow=True) for row in rows if _is_masked(row)]
            panels[workload] = (of, _usable(points))
    return _pareto(panels, "MACs for one image (millions)")


def latency_figure(summary: pd.DataFrame, judges: Mapping[str, Judge]) -> Figure | None:
    """What judges against measured latency, a row for each workload, a column for each batch size; None without
    latency.

    Masked networks stand where dense stands: they run the dense kernels.
    """
    panels = {}
    judged = _judged(summary, judges)
    for workload, rows in _by_workload(summary).items():
        for batch in SHOWN_BATCHES if workload in judged else ():
            points = _usable([_timed(row, batch, judged[workload]) for row in rows])
            if points:
                panels[f"{workload}, batch {batch}"] = (judged[workload], points)
    setting = next((text for text in summary["latency_setting"].dropna() if text), "")
    words = [setting.split(" (")[0], *setting.rsplit(", ", 3)[1:]]
    return _pareto(panels, f"milliseconds a call ({', '.join(words)})")


def speedup_figure(summary: pd.DataFrame) -> Figure | None:
    """Measured against theoretical speed-up, a row for each workload, a column for each batch size.

    On the diagonal the clock gives what the MACs promise; on the horizontal line at 1 it gives nothing,
    which is where masked networks (hollow) stand. More than eight strategies are told apart by that alone.
    """
    panels: dict[str, list[Row]] = {}
    for workload, rows in _by_workload(summary).items():
        for batch in SHOWN_BATCHES:
            names = ["speedup_theoretical", f"speedup_b{batch}"]
            shown = [row for row in rows if row["strategy"] != DENSE and all(_positive(row[name]) for name in names)]
            if shown:
                panels[f"{workload}, batch {batch}"] = shown
    if not panels:
        return None
    strategies = {row["strategy"] for rows in panels.values() for row in rows}
    many = len(strategies) > MOST_NAMED
    with paper_style():
        figure, grid = _grid(len(panels))
        for axes, (title, rows) in zip(grid, panels.items(), strict=False):
            _speedups(axes, rows, int(title.rsplit(" ", 1)[1]), many=many)
            axes.set_title(title, loc="left", y=TITLE_AT)
        _finish(
            figure,
            grid,
            len(panels),
            "theoretical speed-up (dense / effective MACs)",
            ["measured speed-up"] * len(panels),
        )
        masked = {row["strategy"] for rows in panels.values() for row in rows if _is_masked(row)}
        if many:
            kinds = [
                _kind(f"{len(strategies - masked)} strategies that remove physically", hollow=False),
                _kind(f"{len(masked)} masked", hollow=True),
            ]
            _legend(figure, set(), kinds)
        else:
            _legend(figure, strategies, [], masked)
    return figure


def _kind(label: str, *, hollow: bool) -> Line2D:
    colour = MASKED if hollow else REMOVED
    face = "none" if hollow else colour
    return Line2D([], [], color=colour, marker="o", linestyle="none", markerfacecolor=face, label=label)


def _speedups(axes: Axes, rows: Sequence[Row], batch: int, *, many: bool) -> None:
    column = f"speedup_b{batch}"
    limits = padded([1.0, *(row["speedup_theoretical"] for row in rows)])
    measured = [row[f"{column}{end}"] for row in rows for end in ("", "_low", "_high")]
    heights = padded([1.0, *(value for value in measured if _positive(value))])
    logarithmic_axis(axes.xaxis, limits)
    logarithmic_axis(axes.yaxis, heights)
    axes.plot(limits, limits, color=GREY, linewidth=0.6, zorder=1)
    axes.axhline(1.0, color=GREY, linewidth=0.6, linestyle=":", zorder=1)
    for place, row in enumerate(rows):
        look, y = look_of(row["strategy"]), row[column]
        covered = sum(_covers(other, row, column) for other in rows[place + 1 :])
        if many:
            look = Look(MASKED if _is_masked(row) else REMOVED, "o", "-")
        error = [[_distance(y, row[f"{column}_low"])], [_distance(row[f"{column}_high"], y)]]
        axes.errorbar(
            [row["speedup_theoretical"]],
            [y],
            yerr=error,
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            elinewidth=0.7,
            markersize=3 if many else (6 if _is_masked(row) else 4 + 3.5 * covered),
            alpha=0.6 if many else 1.0,
            markeredgecolor=look.colour,
            zorder=3,
            markerfacecolor="none" if _is_masked(row) else look.colour,
            markeredgewidth=0.8 if _is_masked(row) else 0,
        )
    axes.set_xlim(limits)
    axes.set_ylim(heights)


SAME_PLACE = 1e-3


def _covers(later: Row, row: Row, column: str) -> bool:
    """Whether ``later`` is drawn on top of ``row``: strategies that cut to the same widths share a timing."""
    both = [(float(later[key]), float(row[key])) for key in ("speedup_theoretical", column)]
    return not _is_masked(later) and all(math.isclose(a, b, rel_tol=SAME_PLACE) for a, b in both)


def _pareto(panels: dict[str, tuple[Judged, list[Point]]], label: str) -> Figure | None:
    panels = {title: panel for title, panel in panels.items() if panel[1]}
    if not panels:
        return None
    with paper_style():
        figure, grid = _grid(len(panels))
        named = _named(panels)
        for axes, (title, (judged, points)) in zip(grid, panels.items(), strict=False):
            _draw(axes, points, named, judged.quantity.sign)
            axes.set_title(title, loc="left", y=TITLE_AT)
        _finish(figure, grid, len(panels), label, [judged.label for judged, _ in panels.values()])
        everything = [point for _, points in panels.values() for point in points]
        extra = [Line2D([], [], color=GREY, linewidth=0.8, label="non-dominated")]
        if any(point.hollow for point in everything):
            extra.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=":", label="with theoretical (hollow)"))
        others = {point.strategy for point in everything} - named
        if others:
            style: dict[str, Any] = {"color": GREY, "marker": ".", "linestyle": "none", "alpha": FADED}
            extra.append(Line2D([], [], label=f"{len(others)} others, dominated everywhere", **style))
        _legend(figure, named, extra)
    return figure


def _named(panels: Mapping[str, tuple[Judged, Sequence[Point]]]) -> set[str]:
    """The strategies that are named: all of them where they are few, else those on a front of some panel."""
    strategies = {point.strategy for _, points in panels.values() for point in points}
    if len(strategies - {DENSE}) <= MOST_NAMED:
        return strategies
    fronts = []
    for judged, points in panels.values():
        sign = judged.quantity.sign
        fronts += [front([point for point in points if not point.hollow], sign), front(points, sign)]
    return {point.strategy for line in fronts for point in line}


def _draw(axes: Axes, points: Sequence[Point], named: Set[str], sign: float) -> None:
    costs = [point.cost for point in points]
    qualities = [point.quality for point in points if point.quality > 0]
    wide_x = max(costs) / min(costs) > 1.5
    if wide_x:
        logarithmic_axis(axes.xaxis, padded(costs))
        axes.set_xlim(padded(costs))
    logarithmic = bool(qualities) and len(qualities) == len(points) and max(qualities) / min(qualities) > 10
    if logarithmic:
        logarithmic_axis(axes.yaxis, padded(qualities))
        axes.set_ylim(padded(qualities))
    real = front([point for point in points if not point.hollow], sign)
    everything = front(points, sign)
    for line, style in ((everything, ":"), (real, "-")):
        axes.plot([p.cost for p in line], [p.quality for p in line], style, color=GREY, linewidth=0.8, zorder=1)
    others = [point for point in points if point.strategy not in named]
    axes.plot(
        [point.cost for point in others], [point.quality for point in others], ".", color=GREY, alpha=FADED,
        markersize=4, markeredgewidth=0, zorder=1.5,
    )  # fmt: skip
    for point in (point for point in points if point.strategy in named):
        _mark(axes, point, faded=point not in (everything if point.hollow else real))


def _mark(axes: Axes, point: Point, *, faded: bool) -> None:
    look = look_of(point.strategy)
    across = None
    if not math.isnan(point.low):
        across = [[_distance(point.cost, point.low)], [_distance(point.high, point.cost)]]
    axes.errorbar(
        [point.cost],
        [point.quality],
        yerr=[[point.half], [point.half]],
        xerr=across,
        color=look.colour,
        marker=look.marker,
        markersize=7 if point.strategy == DENSE else 4.5,
        linestyle="none",
        elinewidth=0.7,
        markerfacecolor="white" if point.hollow else look.colour,
        markeredgecolor=look.colour,
        markeredgewidth=0.8 if point.hollow else 0,
        alpha=FADED if faded else 1.0,
        zorder=2 if faded else 3,
    )


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(2, count)
    rows = math.ceil(count / 2)
    figure = Figure(figsize=(PAGE, PANEL * rows + 0.75), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _finish(figure: Figure, grid: Sequence[Axes], count: int, across: str, up: Sequence[str]) -> None:
    """Labels: ``up`` of each panel, said once a row where all are the same."""
    same = len(set(up)) == 1
    for index, axes in enumerate(grid):
        axes.set_visible(index < count)
        if index % 2 == 0 or (index < count and not same):
            axes.set_ylabel(up[index])
        if index + 2 >= count:
            axes.set_xlabel(across)
    sns.despine(fig=figure)


def _legend(figure: Figure, strategies: set[str], extra: Sequence[Line2D], hollow: Set[str] = frozenset()) -> None:
    handles = []
    for name in sorted(strategies, key=strategy_order):
        look = look_of(name)
        edge = {"markerfacecolor": "none", "markeredgewidth": 0.8} if name in hollow else {"markeredgewidth": 0}
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=name, **edge))
    longest = max(len(str(handle.get_label())) for handle in [*handles, *extra])
    columns = max(1, min(4, int(PAGE // (0.4 + 0.058 * longest))))
    figure.legend(
        handles=[*handles, *extra],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def _by_workload(summary: pd.DataFrame) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows_of(summary):
        found.setdefault(row["workload"], []).append(row)
    return found


def _judged(summary: pd.DataFrame, judges: Mapping[str, Judge]) -> dict[str, Judged]:
    """What is drawn upwards for each workload; one power of ten for all that have the same quantity."""
    powers: dict[str, int] = {}
    for quantity in {judge.quantity.name: judge.quantity for judge in judges.values()}.values():
        mine = [workload for workload, judge in judges.items() if judge.quantity == quantity]
        rows = summary[summary["workload"].isin(mine)]
        powers[quantity.name] = power_for(quantity, rows[f"{quantity.name}_mean"])
    return {name: Judged(judge.quantity, judge.metric, powers[judge.quantity.name]) for name, judge in judges.items()}


def _quality(row: Row, judged: Judged) -> tuple[float, float]:
    """Mean and half width of the interval; 0 where there is none."""
    name = judged.quantity.name
    mean, half = scaled(row, (f"{name}_mean", f"{name}_ci95"), judged.power)
    return mean, 0.0 if math.isnan(half) else half


def _point(row: Row, cost: float, judged: Judged, *, hollow: bool = False) -> Point:
    return Point(row["strategy"], cost, *_quality(row, judged), hollow=hollow)


def _timed(row: Row, batch: int, judged: Judged) -> Point:
    cost, ratio = row[f"latency_b{batch}_ms"], row[f"speedup_b{batch}"]
    bounds = [row[f"speedup_b{batch}_{end}"] for end in ("high", "low")]
    ends = [cost * ratio / bound for bound in bounds] if all(map(_positive, (ratio, *bounds))) else []
    low, high = ends if ends and row["strategy"] != DENSE else (math.nan, math.nan)
    return Point(row["strategy"], cost, *_quality(row, judged), low, high)


def _usable(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if _positive(point.cost) and math.isfinite(point.quality)]


def _is_masked(row: Row) -> bool:
    # Not by the MACs: a few weights that 16 bits rounded to zero make no mask.
    return bool(row["strategy"] != DENSE and not row["physical"] and row["macs_effective"] < row["macs_dense"])


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _distance(high: float, low: float) -> float:
    return max(high - low, 0.0) if math.isfinite(high) and math.isfinite(low) else 0.0

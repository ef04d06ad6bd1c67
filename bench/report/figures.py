"""Every figure of a report, by the name of its file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bench.records.paths import safe
from bench.report.cost import latency_figure, macs_figure, speedup_figure
from bench.report.quality import quality_figure
from bench.report.slices import slices_of
from bench.tables import main_metric
from bench.tables.lead import TITLES

MOST_ROWS = 30
"""Strategies times workloads in one figure; beyond that each workload has its own."""


@dataclass(frozen=True)
class Drawn:
    """A figure with the name of its files and what has to be said beside it."""

    name: str
    caption: str
    figure: Figure


def draw_figures(frame: pd.DataFrame, aggregated: pd.DataFrame, summary: pd.DataFrame) -> list[Drawn]:
    """All figures that the `tidy`, `aggregate`d and `summarise`d tables have the numbers for, slice by
    slice.
    """
    drawn: list[Drawn] = []
    for part in slices_of(aggregated):
        tables = [part.pick(table) for table in (frame, aggregated, summary)]
        drawn += _draw_slice(*tables, suffix=part.suffix, which=part.note)
    return drawn


def _workloads(frame: pd.DataFrame) -> list[str]:
    return sorted(set(frame["workload"]))


def pages(frame: pd.DataFrame) -> list[list[str]]:
    """The workloads of each page: all on one, or each by itself where strategies are many."""
    workloads = _workloads(frame)
    rows = len(workloads) * frame["strategy"].nunique()
    return [workloads] if rows <= MOST_ROWS else [[name] for name in workloads]


def _draw_slice(
    frame: pd.DataFrame, aggregated: pd.DataFrame, summary: pd.DataFrame, *, suffix: str, which: str
) -> list[Drawn]:
    seeds = frame["seed"].nunique()
    spread = f"{seeds} seed{'s' if seeds != 1 else ''}; what they vary is in the table"
    parts: list[tuple[str, str, Figure | None]] = []
    for family in TITLES:
        metric = main_metric(frame["metric"].tolist(), family)
        if metric is None:
            continue
        images = frame.loc[frame["metric"] == metric, "num_images"].dropna()
        count = f", N = {int(images.iloc[0])}" if len(images) else ""
        text = f"{metric} against achieved sparsity: mean, 95 % t-interval and seeds ({spread}{count})"
        for part in pages(frame):
            mine = frame["workload"].isin(part), aggregated["workload"].isin(part)
            name = f"quality-{family}" if part == _workloads(frame) else f"quality-{family}-{safe(part[0])}"
            parts.append((name, text, quality_figure(frame[mine[0]], aggregated[mine[1]], metric)))
    text = "Quality against MACs; hollow: effective MACs of masked networks, which dense kernels do not realise"
    parts.append(("pareto-macs", text, macs_figure(summary)))
    text = "Quality against measured latency; bars across: 95 % interval within the measuring process"
    parts.append(("pareto-latency", text, latency_figure(summary)))
    text = "Measured against theoretical speed-up; diagonal: what the MACs promise; dotted: no gain"
    parts.append(("speedup", text, speedup_figure(summary)))
    return [Drawn(name + suffix, text + which, figure) for name, text, figure in parts if figure is not None]

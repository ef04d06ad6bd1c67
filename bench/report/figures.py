"""Every figure of a report, by the name of its file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bench.report.cost import latency_figure, macs_figure, speedup_figure
from bench.report.quality import quality_figure
from bench.tables import main_metric

SLICE = ["checkpoint", "target", "recovery"]
"""Cells that differ in one of these never share a figure."""


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
    slices = aggregated.loc[aggregated["strategy"] != "dense", SLICE].drop_duplicates()
    drawn: list[Drawn] = []
    for values in slices.itertuples(index=False):
        named = _slice_name(slices, tuple(values))
        parts = [_pick(table, tuple(values)) for table in (frame, aggregated, summary)]
        drawn += _draw_slice(*parts, suffix=f"-{named}" if named else "", which=f" ({named})" if named else "")
    return drawn


def _draw_slice(
    frame: pd.DataFrame, aggregated: pd.DataFrame, summary: pd.DataFrame, *, suffix: str, which: str
) -> list[Drawn]:
    seeds = frame["seed"].nunique()
    spread = f"{seeds} seed{'s' if seeds != 1 else ''}; what they vary is in the table"
    parts: list[tuple[str, str, Figure | None]] = []
    for family in ("fid", "is"):
        metric = main_metric(frame["metric"].tolist(), family)
        if metric is None:
            continue
        images = frame.loc[frame["metric"] == metric, "num_images"].dropna()
        count = f", N = {int(images.iloc[0])}" if len(images) else ""
        text = f"{metric} against achieved sparsity: mean, 95 % t-interval and seeds ({spread}{count})"
        parts.append((f"quality-{family}", text, quality_figure(frame, aggregated, metric)))
    text = "Quality against MACs; hollow: effective MACs of masked networks, which dense kernels do not realise"
    parts.append(("pareto-macs", text, macs_figure(summary)))
    text = "Quality against measured latency; bars across: 95 % interval within the measuring process"
    parts.append(("pareto-latency", text, latency_figure(summary)))
    text = "Measured against theoretical speed-up; diagonal: what the MACs promise; dotted: no gain"
    parts.append(("speedup", text, speedup_figure(summary)))
    return [Drawn(name + suffix, text + which, figure) for name, text, figure in parts if figure is not None]


def _pick(table: pd.DataFrame, values: tuple[str, ...]) -> pd.DataFrame:
    """The rows of a slice with the dense rows that they are compared with (dense has no target)."""
    checkpoint, target, recovery = values
    same = (table["checkpoint"] == checkpoint) & (table["recovery"] == recovery)
    return table[same & ((table["target"] == target) | (table["strategy"] == "dense"))]


def _slice_name(slices: pd.DataFrame, values: tuple[str, ...]) -> str:
    """The values that tell this slice from the others, safe in a file's name."""
    words = [value for name, value in zip(SLICE, values, strict=True) if slices[name].nunique() > 1]
    return "-".join("".join(c if c.isalnum() or c in "-+._" else "_" for c in word) for word in words)

"""The drift of the leading number over the accepted baselines, as a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.gate.history import LEADING, Accepted, Series
from bench.report.style import PAGE, look_of, paper_style, save
from bench.tasks import quantity_of


def draw_history(accepted: Sequence[Accepted], series: Sequence[Series], folder: Path, name: str) -> list[Path]:
    """Write ``name.pdf``, ``.svg`` and ``.png``: one panel a workload, relative to the oldest baseline."""
    lines = [line for line in series if line.metric.partition("[")[0] in LEADING]
    workloads = list(dict.fromkeys(line.cell.split(" ")[0] for line in lines))
    dates = [one.head.accepted[:10] for one in accepted]
    with paper_style():
        figure = Figure(figsize=(PAGE, 2.2 * max(1, len(workloads))), layout="constrained")
        for panel, workload in enumerate(workloads, start=1):
            axes = figure.add_subplot(len(workloads), 1, panel)
            for line in (one for one in lines if one.cell.startswith(f"{workload} ")):
                strategy, rest = line.cell.split(" ")[1], line.cell.split(" ", 2)[2]
                look = look_of(strategy)
                for number, part in enumerate(unbroken(line)):
                    axes.plot(
                        [i for i, _ in part],
                        [value for _, value in part],
                        color=look.colour,
                        marker=look.marker,
                        linestyle=look.line,
                        label=f"{strategy} {rest.split(' ')[0]}" if number == 0 else None,
                    )
            led = next(line.metric for line in lines if line.cell.startswith(f"{workload} ")).partition("[")[0]
            axes.set_ylabel(f"{quantity_of(led).title} / first, {quantity_of(led).better}")
            axes.set_title(workload, loc="left")
            axes.set_xticks(range(len(dates)), dates, rotation=30, ha="right")
            axes.axhline(1, color="0.7", linewidth=0.6, zorder=0)
            if axes.lines[:-1]:
                axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return save(figure, folder, name)


def unbroken(line: Series) -> list[list[tuple[int, float]]]:
    """The points of a series, relative to the first of each stretch of one version: ``[(index, ratio), ...]``.

    NaN, which is not drawn, where that first one is 0 and the point is not.
    """
    parts: list[list[tuple[int, float]]] = []
    version: str | None = None
    first = math.nan
    for index, (value, its) in enumerate(zip(line.values, line.versions, strict=True)):
        if value is None or its is None:
            version = None
            continue
        if its != version:
            parts.append([])
            version, first = its, value
        parts[-1].append((index, value / first if first else (1.0 if value == first else math.nan)))
    return parts

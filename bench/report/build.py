"""From what a run left to a folder with a report, its tables and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files import write_atomically
from bench.records import Failure, LatencyRecord, Record
from bench.report.answer import answer
from bench.report.figures import Drawn, draw_figures
from bench.report.grid import Images, SampleKey, sample_grid
from bench.report.markdown import (
    columns_section,
    environment_section,
    exclusions_section,
    experiment_section,
    failures_section,
    method,
    question,
    section,
)
from bench.report.style import save
from bench.tables import aggregate, escape, latency_table, summarise, tidy, write_tables
from bench.tables.text import number
from bench.tables.write import other_metrics_markdown, summary_markdown

REFERENCE = "l1-weight-global"
"""The strategy that others are compared with where the experiment names none."""


@dataclass(frozen=True)
class ReportInputs:
    """All that a report is made of; nothing else is read."""

    experiment: Mapping[str, Any]
    """The experiment as it was understood; ``name`` and ``report.reference`` are used where they are
    there.
    """
    run: str
    records: Sequence[Record]
    latency: Sequence[LatencyRecord] = ()
    failures: Sequence[Failure] = ()
    excluded: Sequence[str] = ()
    """Combinations that the experiment left out, in words."""
    samples: Mapping[SampleKey, Images] = field(default_factory=dict)
    """(workload, strategy, level label) -> uint8 images (n, C, H, W), the same inputs in each."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    samples_recovery: str | None = None
    """The recovery that the samples come from; needed for the captions' FID where there are several."""


def build_report(inputs: ReportInputs, folder: Path) -> Path:
    """Write ``report.md``, ``tables/`` and ``figures/`` into ``folder``; what is missing is said, not an
    error.

    Returns:
        The path of ``report.md``.

    Raises:
        UserError: numbers of different versions would stand side by side.
        OSError: the folder cannot be written.
    """
    frame = tidy(inputs.records)
    aggregated, latency = aggregate(frame), latency_table(inputs.latency)
    summary = summarise(frame, aggregated, latency)
    write_tables(folder / "tables", inputs.records, inputs.latency)
    figures = draw_figures(frame, aggregated, summary)
    grids = _grids(inputs, summary)
    for drawn in [*figures, *grids]:
        save(drawn.figure, folder / "figures", drawn.name)
    links = ", ".join(f"[{name}.csv](tables/{name}.csv)" for name in ("summary", "cells", "metrics", "latency"))
    no_figures = "No figure: no pruned cell has a number to draw."
    no_grids = "No samples were kept in this run."
    parts = [
        f"# {escape(name_of(inputs.experiment))}: pruning strategies compared\n",
        question(inputs.experiment, inputs.run, frame, len(inputs.failures)),
        section("The answer", *answer(frame, reference_of(inputs.experiment))),
        section(
            "Results",
            _warnings(frame, latency),
            summary_markdown(summary).strip(),
            other_metrics_markdown(aggregated).strip(),
            f"As files: {links}.",
        ),
        section("Figures", *(_embedded(drawn) for drawn in figures), "" if figures else no_figures),
        section("Samples", *(_embedded(drawn) for drawn in grids), "" if grids else no_grids),
        method(frame, latency),
        environment_section(inputs.environment),
        failures_section(inputs.failures),
        exclusions_section(frame, inputs.excluded),
        columns_section(),
        experiment_section(inputs.experiment),
    ]
    path = folder / "report.md"
    write_atomically(path, "\n".join(parts))
    return path


def name_of(experiment: Mapping[str, Any]) -> str:
    """The experiment's name, at the top or under ``experiment``."""
    inner = experiment.get("experiment")
    name = experiment.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return str(name or "unnamed experiment")


def reference_of(experiment: Mapping[str, Any]) -> str:
    """``report.reference``, or the default."""
    report = experiment.get("report")
    return str((report.get("reference") if isinstance(report, Mapping) else None) or REFERENCE)


def _warnings(frame: pd.DataFrame, latency: pd.DataFrame) -> str:
    notes = []
    for workload, group in frame.groupby("workload", sort=True):
        if "dense" not in set(group["strategy"]):
            notes.append(f"- {escape(workload)} has no dense cell: there are no ratios and no differences to dense.")
    if not frame.empty and frame["seed"].nunique() == 1:
        notes.append("- One seed: there are no intervals, and no claim can be made.")
    if not frame.empty and latency.empty:
        notes.append("- Latency was not measured: speed-ups are theoretical only.")
    masked = frame[(frame["strategy"] != "dense") & ~frame["physical"].astype(bool) & (frame["status"] == "ok")]
    if not masked.empty:
        names = ", ".join(f"`{escape(name)}`" for name in sorted(masked["strategy"].unique()))
        notes.append(f"- Masked, so dense kernels run them no faster than dense: {names}.")
    return "\n".join(notes)


def _grids(inputs: ReportInputs, summary: pd.DataFrame) -> list[Drawn]:
    captions = _captions(summary, inputs.samples, inputs.samples_recovery)
    drawn = []
    for index, workload in enumerate(sorted({key[0] for key in inputs.samples})):
        figure = sample_grid(inputs.samples, captions, workload)
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in workload) or str(index)
        if figure is not None:
            drawn.append(Drawn(f"samples-{safe}", f"{workload}: the same inputs in each block", figure))
    return drawn


def _captions(summary: pd.DataFrame, samples: Mapping[SampleKey, Images], recovery: str | None) -> dict[SampleKey, str]:
    """``0.7, FID 12.3`` for each block; without FID where the recovery is not clear."""
    if recovery is None and summary["recovery"].nunique() == 1:
        recovery = str(summary["recovery"].iloc[0])
    known = {}
    for row in summary[summary["recovery"] == recovery].to_dict("records"):
        shown = row["collapsed"] or f"FID {number(row['fid_mean'], 1)}"
        known[(row["workload"], row["strategy"], row["level"])] = str(shown)
        if row["strategy"] == "dense":
            known[(row["workload"], "dense", "")] = str(shown)
    captions = {}
    for key in samples:
        first = "dense" if key[1] == "dense" else key[2]
        found = known.get((key[0], "dense", "") if key[1] == "dense" else key)
        captions[key] = f"{first}, {found}" if found else first
    return captions


def _embedded(drawn: Drawn) -> str:
    caption = escape(drawn.caption)
    alt = caption.replace("[", "(").replace("]", ")")
    path = f"figures/{drawn.name}"
    return f"![{alt}]({path}.png)\n\n*{caption}.* ([PDF]({path}.pdf), [SVG]({path}.svg))"

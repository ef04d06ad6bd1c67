"""From what a run left to a folder with a report, its tables and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bench.base.files import write_atomically
from bench.report.answer import answer
from bench.report.backends import backend_figures, backends_section
from bench.report.cost_words import cost_section
from bench.report.figures import Drawn, draw_figures
from bench.report.grid import Images, SampleKey, sample_grid, sample_pages
from bench.report.html import write_html
from bench.report.html_rows import quality_words
from bench.report.inputs import ReportInputs, name_of, reference_of, run_notes
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
from bench.report.more import draw_more
from bench.report.paper import paper_tables
from bench.report.recoveries import recoveries_section
from bench.report.style import save
from bench.tables import aggregate, escape, latency_table, summarise, tidy, write_tables
from bench.tables.backends import by_backend
from bench.tables.tidy import rows_of
from bench.tables.write import other_metrics_markdown, summary_markdown

TABLES = ("summary", "cells", "metrics", "latency", "hypervolume")


def build_report(inputs: ReportInputs, folder: Path) -> Path:
    """Write ``index.html``, ``report.md``, ``tables/`` and ``figures/`` into ``folder``.

    What is missing is said, not an error.

    Returns:
        The path of ``index.html``; ``report.md`` beside it says the same.

    Raises:
        UserError: numbers of different versions would stand side by side.
        OSError: the folder cannot be written.
    """
    frame = tidy(inputs.records)
    aggregated, latency = aggregate(frame), latency_table(inputs.latency)
    summary = summarise(frame, aggregated, latency)
    backends = by_backend(frame, summary, latency)
    write_tables(folder / "tables", inputs.records, inputs.latency)
    paper_tables(frame, aggregated, summary, latency, folder / "tables")
    figures = [
        *draw_figures(frame, aggregated, summary),
        *draw_more(inputs.records, frame, aggregated, summary),
        *backend_figures(backends),
    ]
    grids = _grids(inputs, summary)
    for drawn in [*figures, *grids]:
        save(drawn.figure, folder / "figures", drawn.name)
    links = ", ".join(f"[{name}.csv](tables/{name}.csv)" for name in TABLES)
    no_figures = "No figure: no pruned cell has a number to draw."
    no_grids = "No samples were kept in this run."
    parts = [
        f"# {escape(name_of(inputs.experiment))}: pruning strategies compared\n",
        question(inputs.experiment, inputs.run, frame, len(inputs.failures)),
        section("The answer", *answer(frame, reference_of(inputs.experiment))),
        section(
            "Results",
            run_notes(frame, latency),
            summary_markdown(summary).strip(),
            other_metrics_markdown(aggregated).strip(),
            f"As files: {links}.",
        ),
        *filter(None, [recoveries_section(summary)]),
        section("Figures", *(_embedded(drawn) for drawn in figures), "" if figures else no_figures),
        section("Samples", *(_embedded(drawn) for drawn in grids), "" if grids else no_grids),
        *filter(None, [backends_section(backends)]),
        method(frame, latency),
        cost_section(inputs.records, latency),
        environment_section(inputs.environment),
        failures_section(inputs.failures, inputs.failed_timings),
        exclusions_section(frame, inputs.excluded),
        columns_section(frame),
        experiment_section(inputs.experiment),
    ]
    write_atomically(folder / "report.md", "\n".join(parts))
    return write_html(inputs, frame, aggregated, summary, latency, figures, grids, folder)


def _grids(inputs: ReportInputs, summary: pd.DataFrame) -> list[Drawn]:
    captions = _captions(summary, inputs.samples, inputs.samples_recovery)
    drawn = []
    for index, workload in enumerate(sorted({key[0] for key in inputs.samples})):
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in workload) or str(index)
        pages = sample_pages({key: images for key, images in inputs.samples.items() if key[0] == workload})
        for number, page in enumerate(pages, 1):
            figure = sample_grid(page, captions, workload)
            which, of = (f"-{number}", f" ({number} of {len(pages)})") if len(pages) > 1 else ("", "")
            if figure is not None:
                drawn.append(Drawn(f"samples-{safe}{which}", f"{workload}: the same inputs in each block{of}", figure))
    return drawn


def _captions(summary: pd.DataFrame, samples: Mapping[SampleKey, Images], recovery: str | None) -> dict[SampleKey, str]:
    """``0.7, FID 12.3`` for each block; the level alone where the recovery is not clear."""
    if recovery is None and summary["recovery"].nunique() == 1:
        recovery = str(summary["recovery"].iloc[0])
    known = {}
    rows = rows_of(summary[summary["recovery"] == recovery])
    quality = quality_words(rows, interval=False)
    for row in rows:
        shown = quality(row)
        known[(row["workload"], row["strategy"], row["level"])] = shown
        if row["strategy"] == "dense":
            known[(row["workload"], "dense", "")] = shown
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

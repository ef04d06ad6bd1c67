"""The tables of a paper from a run's tables, as files: LaTeX, Markdown and CSV with equal content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.base.files import write_atomically
from bench.records.paths import safe
from bench.report.latex import latex, preview
from bench.report.paper_equal import equal_macs, equal_params, equal_speedup
from bench.report.paper_iso import iso_quality_table
from bench.report.papertable import PaperTable, comma_separated, markdown
from bench.tables.lead import lead_metric
from bench.tables.numbers import Numbers
from bench.tables.summary import SHOWN_BATCHES


def paper_tables(
    frame: pd.DataFrame,
    aggregated: pd.DataFrame,
    summary: pd.DataFrame,
    latency: pd.DataFrame,
    folder: Path,
    reference: str | None = None,
) -> dict[str, Path]:
    """Write every table that the run has rows for into ``folder``, each as ``.tex``, ``.md`` and ``.csv``.

    ``equal-params``, ``equal-macs``, ``equal-speedup-b1``, ``equal-speedup-b16`` and ``iso-quality``; where
    workloads are judged by different metrics, one set for each judge with its name behind. ``preview.tex`` inputs
    them all.

    Args:
        frame: of `tidy`; aggregated: of `aggregate`; summary: of `summarise`; latency: of `latency_table`.
        reference: adds to the table at equal parameters what the report's claims say against this strategy. They are
            corrected over the whole run and bold within a group, so the two may differ; without it, no such column.

    Returns:
        The files by name: ``equal-params.tex``, ...; empty where there is nothing to show.
    """
    tables: list[PaperTable] = []
    for suffix, numbers in _by_judge(Numbers(frame, aggregated, summary, latency)):
        found = [
            equal_params(numbers, reference),
            equal_macs(numbers),
            *(equal_speedup(numbers, batch) for batch in SHOWN_BATCHES),
            iso_quality_table(numbers),
        ]
        tables += [_renamed(table, suffix) for table in found if table is not None]
    return write_paper_tables(folder, tables)


def write_paper_tables(folder: Path, tables: Sequence[PaperTable], *, wide: bool = False) -> dict[str, Path]:
    """Write each table as LaTeX, Markdown and CSV with equal content, and a ``preview.tex`` that inputs them all.

    ``wide``: as `latex`. Without a table nothing is written.
    """
    content: dict[str, str] = {}
    for table in tables:
        content[f"{table.name}.tex"] = latex(table, wide=wide)
        content[f"{table.name}.md"] = markdown(table)
        content[f"{table.name}.csv"] = comma_separated(table)
    if tables:
        content["preview.tex"] = preview([f"{table.name}.tex" for table in tables])
    for name, words in content.items():
        write_atomically(folder / name, words)
    return {name: folder / name for name in content}


def _by_judge(numbers: Numbers) -> list[tuple[str, Numbers]]:
    """Workloads whose FID (or KID) may stand in one column, and what to put behind the name of their tables."""
    judges: dict[tuple[str, str, float], list[str]] = {}
    for workload, rows in numbers.aggregated.groupby("workload", sort=True):
        metric = lead_metric(rows["metric"])
        if metric is not None:
            first = rows[rows["metric"] == metric].iloc[0]
            judges.setdefault((metric, str(first["version"]), float(first["num_images"])), []).append(str(workload))
    if not judges or (len(judges) == 1 and sum(map(len, judges.values())) == numbers.summary["workload"].nunique()):
        return [("", numbers)]
    result = []
    for place, ((metric, _, _), workloads) in enumerate(judges.items()):
        kept = (table[table["workload"].isin(workloads)] for table in vars(numbers).values())
        suffix = safe(metric.partition("[")[2].rstrip("]") or metric).replace("_", "-")
        alone = sum(other[0] == metric for other in judges) == 1
        result.append((f"-{suffix}" + ("" if alone else f"-{place + 1}"), Numbers(*kept)))
    return result if len(result) > 1 else [("", chosen) for _, chosen in result]


def _renamed(table: PaperTable, suffix: str) -> PaperTable:
    return replace(table, name=table.name + suffix)

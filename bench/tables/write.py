"""The tables as files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.base.files import write_atomically
from bench.records import LatencyRecord, Record
from bench.tables.aggregate import aggregate
from bench.tables.hypervolume import hypervolume_table
from bench.tables.latency import latency_table
from bench.tables.summary import summarise
from bench.tables.text import MISSING, escape, markdown_table, other_metrics_text, summary_text
from bench.tables.tidy import tidy, wide


def write_tables(
    folder: Path, records: Sequence[Record], latency_records: Sequence[LatencyRecord] = ()
) -> dict[str, Path]:
    """Write ``summary`` (the main table), ``cells`` (wide), ``metrics`` (aggregated, long), ``latency`` and
    ``hypervolume``, each as ``.csv`` (plain numbers, full precision, empty where missing) and ``.md``, into ``folder``.

    Returns:
        The files by name: ``summary.csv``, ``summary.md``, ...

    Raises:
        UserError: numbers of different versions would stand side by side.
    """
    frame = tidy(records)
    aggregated = aggregate(frame)
    latency = latency_table(latency_records)
    summary = summarise(frame, aggregated, latency)
    content = {"summary.csv": _csv(summary), "summary.md": summary_markdown(summary)}
    others = {"cells": wide(records), "metrics": aggregated, "latency": latency, "hypervolume": hypervolume_csv(frame)}
    for name, table in others.items():
        content |= {f"{name}.csv": _csv(table), f"{name}.md": _markdown(table)}
    for name, text in content.items():
        write_atomically(folder / name, text)
    return {name: folder / name for name in content}


def hypervolume_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """`hypervolume_table` with the seeds' values of a row as words between blanks."""
    table = hypervolume_table(frame)
    return table.assign(values=[" ".join(f"{value:.6g}" for value in values) for values in table["values"]])


def summary_markdown(summary: pd.DataFrame) -> str:
    """The main table as Markdown, one section for each workload."""
    if summary.empty:
        return "*no cells*\n"
    parts = []
    for workload, group in summary.groupby("workload", sort=False):
        parts.append(f"### {escape(workload)}\n\n{markdown_table(*summary_text(group), left=3)}\n")
    return "\n".join(parts)


def other_metrics_markdown(aggregated: pd.DataFrame) -> str:
    """The metrics that the main table leaves out, one section for each workload; empty where there are
    none.
    """
    parts = []
    for workload, group in aggregated.groupby("workload", sort=False):
        headers, rows = other_metrics_text(group)
        if rows:
            parts.append(f"### {escape(workload)}: other metrics\n\n{markdown_table(headers, rows, left=3)}\n")
    return "\n".join(parts)


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _markdown(table: pd.DataFrame) -> str:
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return markdown_table([escape(name) for name in table.columns], rows) + "\n"


def _cell(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return escape(f"{value:.6g}") if isinstance(value, float) else escape(value)

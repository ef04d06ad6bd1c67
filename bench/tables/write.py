"""The tables as files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bench.base.files import write_atomically
from bench.tables.hypervolume import hypervolume_table
from bench.tables.lead import tasks_of
from bench.tables.places import by_place
from bench.tables.run_tables import RunTables
from bench.tables.text import MISSING, escape, escaped_table, markdown_table, other_metrics_text, summary_text
from bench.tasks import DEFAULT

Text = tuple[str, list[str], list[list[str]]]
"""A table as text: the workload that it is of (and its checkpoint, where it has several), headers, rows; nothing is
escaped."""


def files_of(numbers: RunTables) -> dict[str, pd.DataFrame]:
    """The tables that a run leaves as files: ``summary`` (the main table), ``cells`` (wide), ``metrics`` (aggregated,
    long), ``latency``, ``claims`` and ``hypervolume``, with the columns of the files.
    """
    return {
        "summary": _without_task(numbers.summary),
        "cells": numbers.cells,
        "metrics": _without_task(numbers.aggregated),
        "latency": numbers.latency,
        "claims": numbers.claims.table(),
        "hypervolume": hypervolume_csv(numbers.frame),
    }


def write_tables(folder: Path, numbers: RunTables) -> dict[str, Path]:
    """Write `files_of` a run, each as ``.csv`` (plain numbers, every digit, empty where missing) and ``.md``, into
    ``folder``.

    Returns:
        The files by name: ``summary.csv``, ``summary.md``, ...
    """
    return write_files(folder, files_of(numbers), numbers.summary)


def write_files(folder: Path, tables: Mapping[str, pd.DataFrame], summary: pd.DataFrame) -> dict[str, Path]:
    """As `write_tables`, of tables that are there already."""
    content = {}
    for name, table in tables.items():
        content[f"{name}.csv"] = comma_separated(table)
        content[f"{name}.md"] = summary_markdown(summary) if name == "summary" else _markdown(table)
    for name, text in content.items():
        write_atomically(folder / name, text)
    return {name: folder / name for name in content}


def hypervolume_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """`hypervolume_table` with the seeds' values of a row as words between blanks; the metric stands under the name of
    the quantity, as in the main table, where all workloads have the same.
    """
    table = hypervolume_table(frame)
    bounds = {task.bound for task in tasks_of(table)}
    name = f"{bounds.pop()}_metric" if len(bounds) == 1 else "metric"
    shown = table.assign(values=[" ".join(f"{value:.6g}" for value in values) for values in table["values"]])
    return _without_task(shown.rename(columns={"metric": name}))


def _without_task(table: pd.DataFrame) -> pd.DataFrame:
    """The task is a column of the files only where a run has more than the default one."""
    return table.drop(columns="task") if {task.name for task in tasks_of(table)} == {DEFAULT} else table


def summary_texts(summary: pd.DataFrame) -> list[Text]:
    """The main table as text, one for each workload, and each of its checkpoints."""
    return [(place, *summary_text(group)) for place, group in by_place(summary)]


def other_metrics_texts(aggregated: pd.DataFrame) -> list[Text]:
    """The metrics that the main table leaves out, one table for each workload, and checkpoint, that has some."""
    found = [(place, *other_metrics_text(group)) for place, group in by_place(aggregated)]
    return [text for text in found if text[2]]


def summary_markdown(summary: pd.DataFrame) -> str:
    """The main table as Markdown, one section for each workload, and each of its checkpoints."""
    texts = summary_texts(summary)
    parts = [f"### {escape(workload)}\n\n{escaped_table(headers, rows, left=3)}\n" for workload, headers, rows in texts]
    return "\n".join(parts) or "*no cells*\n"


def comma_separated(table: pd.DataFrame) -> str:
    """The table as CSV."""
    return table.to_csv(index=False, lineterminator="\n")


def _markdown(table: pd.DataFrame) -> str:
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return markdown_table([escape(name) for name in table.columns], rows) + "\n"


def _cell(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return escape(f"{value:.6g}") if isinstance(value, float) else escape(value)

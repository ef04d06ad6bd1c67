"""The tables of a paper from a run's tables, as files: LaTeX, Markdown and CSV with equal content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.base.files import write_atomically
from bench.records.paths import safe
from bench.report.latex import latex, preview
from bench.report.paper_equal import equal_macs, equal_params, equal_speedup
from bench.report.paper_iso import iso_quality_table
from bench.report.papertable import PaperTable, comma_separated, markdown
from bench.tables.claim import Claims
from bench.tables.lead import judges_of
from bench.tables.naming import judge_in
from bench.tables.run_tables import RunTables
from bench.tables.summary import SHOWN_BATCHES


def paper_tables(numbers: RunTables, claims: Claims) -> list[PaperTable]:
    """Every table that the run has rows for.

    ``equal-params``, ``equal-macs``, ``equal-speedup-b1``, ``equal-speedup-b16`` and ``iso-quality``; where
    workloads are judged by different metrics, one set for each judge with its name behind. What they say of a strategy
    against the reference, and what is bold in a column of quality, are the report's ``claims``.
    """
    tables: list[PaperTable] = []
    for suffix, mine in _by_judge(numbers):
        found = [
            equal_params(mine, claims),
            equal_macs(mine, claims),
            *(equal_speedup(mine, claims, batch) for batch in SHOWN_BATCHES),
            iso_quality_table(mine),
        ]
        tables += [_renamed(table, suffix) for table in found if table is not None]
    return tables


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


def _by_judge(numbers: RunTables) -> list[tuple[str, RunTables]]:
    """Workloads whose quality may stand in one column, and what to put behind the name of their tables."""
    judges: dict[tuple[str, str, str, float], list[str]] = {}
    judged = judges_of(numbers.aggregated)
    for workload, rows in numbers.aggregated.groupby("workload", sort=True):
        judge = judged[str(workload)]
        if judge is not None:
            first = rows[rows["metric"] == judge.metric].iloc[0]
            key = (judge.metric, str(first["task"]), str(first["version"]), float(first["num_images"]))
            judges.setdefault(key, []).append(str(workload))
    if not judges or (len(judges) == 1 and sum(map(len, judges.values())) == numbers.summary["workload"].nunique()):
        return [("", numbers)]
    result = []
    for place, (key, workloads) in enumerate(judges.items()):
        suffix = safe(judge_in(key[0]) or key[0]).replace("_", "-")
        alone = sum(_suffix_of(other) == _suffix_of(key) for other in judges) == 1
        result.append((f"-{suffix}" + ("" if alone else f"-{place + 1}"), numbers.of_workloads(workloads)))
    return result if len(result) > 1 else [("", chosen) for _, chosen in result]


def _suffix_of(key: tuple[str, str, str, float]) -> str:
    return judge_in(key[0]) or key[0]


def _renamed(table: PaperTable, suffix: str) -> PaperTable:
    return replace(table, name=table.name + suffix)

"""The report before it is Markdown, a page or LaTeX: everything that is said, computed once.

`build_model` is the only place where a report's numbers and claims are made. What comes after it draws.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.report.answer import Part, answer, judged_by
from bench.report.backends import backends_section
from bench.report.blocks import Block, Grid, Heading, Inline, Items, Link, Paragraph, Section, grid, line, listed
from bench.report.constraints import constraint_notes
from bench.report.cost_words import cost_section
from bench.report.deploy import deploy_section
from bench.report.drawings import Drawing, figures_of, grids_of
from bench.report.flags import flag_notes, of_dense, timing_notes
from bench.report.glance import Best, Verdicts, best_means, best_words, verdicts
from bench.report.inputs import ReportInputs, name_of, reference_of, run_notes
from bench.report.paper import paper_tables
from bench.report.papertable import PaperTable
from bench.report.recoveries import recoveries_section
from bench.report.sections import (
    columns_of,
    columns_section,
    environment_section,
    exclusions_section,
    experiment_section,
    failures_section,
    method,
    question,
)
from bench.tables.backends import by_backend
from bench.tables.claim import Claims
from bench.tables.deploy import deploy_table
from bench.tables.lead import tasks_of
from bench.tables.naming import DENSE
from bench.tables.run_tables import RunTables, run_tables
from bench.tables.write import Text, files_of, other_metrics_texts, summary_texts
from bench.tasks import Quantity


@dataclass(frozen=True)
class Sections:
    """What is described, each under its title."""

    question: Section
    recoveries: Section
    deploy: Section
    backends: Section
    method: Section
    cost: Section
    environment: Section
    failures: Section
    exclusions: Section
    columns: Section
    experiment: Section


@dataclass(frozen=True)
class ReportModel:
    """Everything that a report says."""

    inputs: ReportInputs
    name: str
    """Of the experiment."""
    numbers: RunTables
    tables: Mapping[str, pd.DataFrame]
    """The tables that the report leaves as files, by name, and what the page says of each."""
    table_words: Mapping[str, str]
    backends: pd.DataFrame
    claims: Claims
    judges: tuple[Quantity, ...]
    """What judges the workloads of the run."""
    answer: tuple[Part, ...]
    verdicts: tuple[Verdicts, ...]
    best: tuple[Best, ...]
    best_title: str
    facts: tuple[tuple[str, str], ...]
    """How large the run is: counts and of what."""
    notes: tuple[Block, ...]
    """What a reader of the tables must know first."""
    results: tuple[Block, ...]
    """The main table and the other metrics, in print."""
    other: tuple[Block, ...]
    """The other metrics alone; the page has a main table of its own."""
    columns: Mapping[str, Inline]
    sections: Sections
    figures: tuple[Drawing, ...]
    grids: tuple[Drawing, ...]
    """The sheets of samples."""
    paper: tuple[PaperTable, ...]
    version: str
    """Of ganprune."""

    @property
    def title(self) -> str:
        return f"{self.name}: pruning strategies compared"

    @property
    def files(self) -> Inline:
        """Where the tables are, for who reads the report beside them."""
        links = listed([(Link(f"{name}.csv", f"tables/{name}.csv"),) for name in self.tables])
        return line("As files: ", links, ".")


def build_model(
    inputs: ReportInputs, planned: Callable[[Sequence[Drawing]], None] = lambda drawings: None
) -> ReportModel:
    """Everything that the report of ``inputs`` says. What is missing is said, not an error.

    ``planned`` is told what there is to draw as soon as that is known, so that it can be drawn meanwhile.

    Raises:
        UserError: numbers of different versions would stand side by side.
    """
    numbers = run_tables(inputs.records, inputs.latency, inputs.evidence, reference_of(inputs.experiment))
    frame, summary, latency = numbers.frame, numbers.summary, numbers.latency
    several = latency if latency["backend"].nunique() > 1 else latency.iloc[:0]  # one alone is compared with nothing
    backends = by_backend(frame, summary, several)
    figures, grids = tuple(figures_of(numbers, inputs.records, backends)), tuple(grids_of(inputs, summary))
    planned([*figures, *grids])
    claims = numbers.claims
    judges = tuple(judged_by(frame))
    columns = columns_of(frame, of_dense(inputs.records))
    notes, other = run_notes(frame, latency), tuple(_other(numbers))
    notes += [
        *constraint_notes(inputs.records),
        *flag_notes(inputs.records),
        *timing_notes(latency, inputs.failed_timings),
    ]
    return ReportModel(
        inputs=inputs,
        name=name_of(inputs.experiment),
        numbers=numbers,
        tables=files_of(numbers),
        table_words=_table_words(frame),
        backends=backends,
        claims=claims,
        judges=judges,
        answer=tuple(answer(frame, claims)),
        verdicts=tuple(verdicts(claims.against_reference)),
        best=tuple(best_means(summary)),
        best_title=best_words(judges),
        facts=tuple(_facts(frame, len(inputs.failures))),
        notes=(Items(tuple(notes)),) if notes else (),
        results=(*_main(summary), *other),
        other=other,
        columns=columns,
        sections=Sections(
            question=question(inputs.experiment, inputs.run, frame, len(inputs.failures)),
            recoveries=recoveries_section(summary),
            deploy=deploy_section(deploy_table(frame, summary, latency), summary),
            backends=backends_section(backends),
            method=method(frame, latency, claims.reference),
            cost=cost_section(inputs.records, latency),
            environment=environment_section(inputs.environment),
            failures=failures_section(inputs.failures, inputs.failed_timings),
            exclusions=exclusions_section(frame, inputs.excluded),
            columns=columns_section(columns),
            experiment=experiment_section(inputs.experiment),
        ),
        figures=figures,
        grids=grids,
        paper=tuple(paper_tables(numbers, claims)),
        version=_version(),
    )


def _main(summary: pd.DataFrame) -> list[Block]:
    found: list[Block] = [block for text in summary_texts(summary) for block in _titled(text, "")]
    return found or [Paragraph(("no cells",))]


def _other(numbers: RunTables) -> list[Block]:
    return [block for text in other_metrics_texts(numbers.aggregated) for block in _titled(text, ": other metrics")]


def _titled(text: Text, what: str) -> tuple[Heading, Grid]:
    workload, headers, rows = text
    return Heading((f"{workload}{what}",)), grid(headers, rows, left=3, name=f"Other metrics of {workload}")


def _facts(frame: pd.DataFrame, failures: int) -> list[tuple[str, str]]:
    cells = frame.drop_duplicates(["workload", "checkpoint", "strategy", "target", "level", "recovery", "seed"])
    pruned = cells[cells["strategy"] != DENSE]
    counts = [
        ("workload", cells["workload"].nunique()),
        *([("checkpoint", cells["checkpoint"].nunique())] if cells["checkpoint"].nunique() > 1 else []),
        ("strategy", pruned["strategy"].nunique()),
        ("level", pruned["level"].nunique()),
        ("seed", cells["seed"].nunique()),
        ("cell", len(cells)),
    ]
    plural = {"strategy": "strategies"}
    facts = [(str(count), what if count == 1 else plural.get(what, f"{what}s")) for what, count in counts]
    odd = {str(status): int(count) for status, count in cells["status"].value_counts().sort_index().items()}
    odd["failed"] = failures
    return facts + [(str(count), status) for status, count in odd.items() if status != "ok" and count]


def _table_words(frame: pd.DataFrame) -> dict[str, str]:
    tolerated = " and ".join(f"{task.quantity(task.area).title}s" for task in tasks_of(frame))
    return {
        "summary": "the main table, with every digit",
        "cells": "one line for each cell, with its seed, cost and keys",
        "metrics": "every metric over the seeds, with its interval",
        "latency": "every timing of dense against pruned",
        "claims": "every comparison, its interval and its verdict",
        "hypervolume": f"decades of MACs saved over the tolerated {tolerated}, with its interval",
    }


def _version() -> str:
    try:
        return importlib.metadata.version("ganprune")
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"

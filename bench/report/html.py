"""The report as one HTML file that needs nothing else: no network, no server, no second file."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from bench.base.files import write_atomically
from bench.report import markdown
from bench.report.answer import answer, judged_by
from bench.report.backends import backends_section
from bench.report.claims import against_reference
from bench.report.cost_words import cost_section
from bench.report.figures import Drawn
from bench.report.grid import SampleKey
from bench.report.html_answer import lowest_means, verdicts
from bench.report.html_images import Block, data_uri, png_uri, sample_blocks, svg_html, svg_width
from bench.report.html_markdown import inline_html, markdown_html
from bench.report.html_rows import Table, main_tables
from bench.report.inputs import ReportInputs, name_of, reference_of, run_notes
from bench.report.recoveries import recoveries_section
from bench.tables import wide
from bench.tables.backends import by_backend
from bench.tables.naming import DENSE
from bench.tables.write import hypervolume_csv, other_metrics_markdown

TITLE = "ganprune: the benchmark that decides how a GAN gets pruned"
AUTHORS = "The ganprune authors"
"""As in CITATION.cff, which an installed package does not have."""


@dataclass(frozen=True)
class Shown:
    """A figure in the page."""

    ident: str
    caption: str
    svg: Markup
    width: int


@dataclass(frozen=True)
class Sample:
    """A block of samples in the page, with the row that it belongs to."""

    ident: str
    block: Block
    caption: str
    row: str | None


@dataclass(frozen=True)
class Download:
    """A table that the page carries along."""

    name: str
    what: str
    uri: str


def write_html(
    inputs: ReportInputs,
    frame: pd.DataFrame,
    aggregated: pd.DataFrame,
    summary: pd.DataFrame,
    latency: pd.DataFrame,
    figures: Sequence[Drawn],
    grids: Sequence[Drawn],
    folder: Path,
) -> Path:
    """Write ``index.html`` into ``folder``; the same inputs give the same bytes.

    ``frame``, ``aggregated``, ``summary`` and ``latency`` are the `tidy`, `aggregate`d, `summarise`d and latency
    tables of ``inputs``; ``grids`` are offered as sheets to save, the page itself shows ``inputs.samples``.

    Returns:
        The path of ``index.html``.

    Raises:
        OSError: the folder cannot be written.
    """

    reference, judges = reference_of(inputs.experiment), judged_by(frame)
    blocks = sample_blocks(inputs.samples)
    idents = _sample_idents(blocks)
    tables = main_tables(summary, frame, idents, inputs.samples_recovery)
    name = name_of(inputs.experiment)
    context: dict[str, Any] = {
        "name": name,
        "run": inputs.run,
        "facts": _facts(frame, len(inputs.failures)),
        "answer": _answer(frame, reference),
        "reference": reference,
        "judge": " or ".join(judges),
        "verdicts": verdicts(against_reference(frame, reference)) if len(frame) else [],
        "lowest": [(place, [inline_html(line) for line in lines]) for place, lines in lowest_means(summary)],
        "warnings": markdown_html(run_notes(frame, latency)),
        "tables": tables,
        "choices": _choices(tables),
        "other": markdown_html(other_metrics_markdown(aggregated), table_label="Other metrics"),
        "figures": [
            Shown(f"figure-{index}", drawn.caption, svg_html(drawn.figure, f"f{index}-"), svg_width(drawn.figure))
            for index, drawn in enumerate(figures, start=1)
        ],
        "samples": _samples(blocks, idents, tables),
        "sheets": [Download(f"{drawn.name}.png", drawn.caption, png_uri(drawn.figure)) for drawn in grids],
        "asked": markdown_html(markdown.question(inputs.experiment, inputs.run, frame, len(inputs.failures))),
        "backends": markdown_html(backends_section(by_backend(frame, summary, latency)), table_label="By backend"),
        "recoveries": markdown_html(recoveries_section(summary), table_label="By recovery"),
        "method": markdown_html(markdown.method(frame, latency), table_label="Metrics and their versions"),
        "cost": markdown_html(cost_section(inputs.records, latency), table_label="What pruning cost"),
        "environment": markdown_html(markdown.environment_section(inputs.environment), table_label="Environment"),
        "failures": markdown_html(
            markdown.failures_section(inputs.failures, inputs.failed_timings), table_label="Failed cells and timings"
        ),
        "exclusions": markdown_html(markdown.exclusions_section(frame, inputs.excluded), table_label="Excluded cells"),
        "columns": [(inline_html(term), inline_html(text)) for term, text in markdown.columns_of(frame).items()],
        "experiment": markdown_html(markdown.experiment_section(inputs.experiment)),
        "cite": _citation(name, inputs.run, inputs.environment.get("started")),
        "downloads": _downloads(inputs, frame, aggregated, summary, latency),
        "version": _version(),
    }
    path = folder / "index.html"
    write_atomically(path, _render(context))
    return path


def _render(context: dict[str, Any]) -> str:
    loader = jinja2.PackageLoader("bench.report", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = (loader.get_source(environment, f"report.{kind}")[0] for kind in ("css", "js"))
    policy = "; ".join([
        "default-src 'none'", "img-src data:", f"script-src {_hash(script)}", f"style-src {_hash(style)}",
        "style-src-attr 'unsafe-inline'", "base-uri 'none'", "form-action 'none'",
    ])  # fmt: skip
    page = environment.get_template("report.html.j2")
    return page.render(**context, style=Markup(style), script=Markup(script), policy=policy) + "\n"


def _hash(text: str) -> str:
    """The only style sheet and the only script that the page's policy lets run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _facts(frame: pd.DataFrame, failures: int) -> list[tuple[str, str]]:
    """How large the run is, in a few numbers."""
    cells = frame.drop_duplicates(["workload", "checkpoint", "strategy", "target", "level", "recovery", "seed"])
    pruned = cells[cells["strategy"] != DENSE]
    counts = [
        ("workload", cells["workload"].nunique()),
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


def _answer(frame: pd.DataFrame, reference: str) -> list[tuple[bool, Markup, Markup]]:
    """The paragraphs of the answer: whether its list is one of many comparisons, its text, its list."""
    found = []
    for paragraph in answer(frame, reference):
        lines = paragraph.splitlines()
        head = "\n".join(line for line in lines if not line.startswith("- "))
        items = "\n".join(line for line in lines if line.startswith("- "))
        found.append((head.startswith("**Against `"), markdown_html(head), markdown_html(items)))
    return found


def _choices(tables: Sequence[Table]) -> list[tuple[str, str, list[str]]]:
    """What the main tables can be filtered by: only what differs."""
    entries = [(table, entry) for table in tables for entry in table.entries]
    values = {
        "workload": [table.workload for table, _ in entries],
        "granularity": [entry.granularity for _, entry in entries],
        "recovery": [entry.recovery for _, entry in entries],
    }
    found = [(name, f"filter-{name}", list(dict.fromkeys(values[name]))) for name in values]
    return [choice for choice in found if len(choice[2]) > 1]


def _sample_idents(blocks: dict[str, list[Block]]) -> dict[SampleKey, str]:
    """The id in the page of each block."""
    keys = dict.fromkeys(_place(block.key) for group in blocks.values() for block in group)
    return {key: f"samples-{index}" for index, key in enumerate(keys, start=1)}


def _samples(
    blocks: dict[str, list[Block]], idents: dict[SampleKey, str], tables: Sequence[Table]
) -> list[tuple[str, Sample | None, list[tuple[str, list[Sample]]]]]:
    """For each workload, its dense block and the blocks of each strategy."""
    entries = {entry.samples: entry for table in reversed(tables) for entry in reversed(table.entries)}
    found = []
    for workload, group in blocks.items():
        dense = None
        strategies: dict[str, list[Sample]] = {}
        for block in group:
            ident = idents[_place(block.key)]
            entry = entries.get(ident)
            words = [block.key[2] if block.key[1] != DENSE else DENSE, *([entry.quality] if entry else [])]
            sample = Sample(ident, block, ", ".join(words), entry.ident if entry else None)
            if block.key[1] == DENSE:
                dense = dense or sample
            else:
                strategies.setdefault(block.key[1], []).append(sample)
        found.append((workload, dense, list(strategies.items())))
    return found


def _place(key: SampleKey) -> SampleKey:
    """Dense stands under an empty level, whatever its level is called."""
    return (key[0], key[1], "" if key[1] == DENSE else key[2])


def _downloads(
    inputs: ReportInputs, frame: pd.DataFrame, aggregated: pd.DataFrame, summary: pd.DataFrame, latency: pd.DataFrame
) -> list[Download]:
    named = {
        "summary": ("the main table, with full precision", summary),
        "cells": ("one line for each cell, with its seed, cost and keys", wide(inputs.records)),
        "metrics": ("every metric over the seeds, with its interval", aggregated),
        "latency": ("every timing of dense against pruned", latency),
        "hypervolume": ("decades of MACs saved over the tolerated FIDs, with its interval", hypervolume_csv(frame)),
    }
    return [
        Download(f"{name}.csv", what, data_uri(table.to_csv(index=False, lineterminator="\n"), "text/csv"))
        for name, (what, table) in named.items()
        if not table.empty
    ]


def _citation(experiment: str, run: str, started: object) -> str:
    """An entry for a bibliography; the year is the run's."""
    plain = [" ".join("".join(c for c in text if c not in '{}\\"').split()) for text in (experiment, run)]
    year = f"  year    = {{{str(started)[:4]}}},\n" if str(started)[:4].isdigit() else ""
    return (
        f"@software{{ganprune,\n  title   = {{{TITLE}}},\n  author  = {{{{{AUTHORS}}}}},\n{year}"
        f"  version = {{{_version()}}},\n  note    = {{experiment {plain[0]}, run {plain[1]}}}\n}}"
    )


def _version() -> str:
    try:
        return importlib.metadata.version("ganprune")
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"

"""The model as one HTML file that needs nothing else: no network, no server, no second file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from bench.report.drawings import Drawing
from bench.report.html_blocks import html, inline
from bench.report.html_images import Block, css_width, data_uri, sample_blocks, svg_html
from bench.report.inputs import SampleKey
from bench.report.model import ReportModel
from bench.report.pictures import Picture
from bench.report.rows import Table, main_tables
from bench.tables.naming import DENSE
from bench.tables.write import comma_separated

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


def render_html(
    model: ReportModel, drawn: Sequence[Drawing], sheets: Sequence[Drawing], pictures: Mapping[str, Picture]
) -> str:
    """The whole page; the same model and pictures give the same text.

    ``drawn`` and ``sheets`` are the figures and the grids of samples that came out; the latter are offered as files,
    the page itself shows the model's samples.
    """
    inputs, said = model.inputs, model.sections
    blocks = sample_blocks(inputs.samples)
    idents = _sample_idents(blocks)
    tables = main_tables(model.numbers.summary, model.numbers.frame, idents, inputs.samples_recovery)
    context: dict[str, Any] = {
        "name": model.name,
        "title": model.title,
        "run": inputs.run,
        "facts": model.facts,
        "answer": [
            (part.about == "reference" and bool(part.items), html(part.blocks[:1]), html(part.blocks[1:]))
            for part in model.answer
        ],
        "reference": model.claims.reference,
        "verdicts": model.verdicts,
        "best_title": model.best_title,
        "best": [(best.place, [inline(sentence) for sentence in best.lines]) for best in model.best],
        "warnings": html(model.notes),
        "tables": tables,
        "choices": _choices(tables),
        "other": html(model.other),
        "figures": [_shown(index, drawing, pictures[drawing.name]) for index, drawing in enumerate(drawn, start=1)],
        "samples": _samples(blocks, idents, tables),
        "sheets": [
            Download(f"{sheet.name}.png", sheet.caption, data_uri(pictures[sheet.name].files["png"], "image/png"))
            for sheet in sheets
        ],
        "asked": html(said.question.blocks),
        "backends": html(said.backends.blocks),
        "recoveries": html(said.recoveries.blocks),
        "deploy": html(said.deploy.blocks),
        "method": html(said.method.blocks),
        "cost": html(said.cost.blocks),
        "environment": html(said.environment.blocks),
        "failures": html(said.failures.blocks),
        "exclusions": html(said.exclusions.blocks),
        "columns": [(term, inline(text)) for term, text in model.columns.items()],
        "experiment": html(said.experiment.blocks),
        "cite": _citation(model),
        "downloads": [
            Download(f"{name}.csv", model.table_words[name], data_uri(comma_separated(table), "text/csv"))
            for name, table in model.tables.items()
            if not table.empty
        ],
        "version": model.version,
    }
    return _render(context)


def _shown(index: int, drawing: Drawing, picture: Picture) -> Shown:
    ident = f"figure-{index}"
    return Shown(ident, drawing.caption, svg_html(picture.files["svg"], f"f{index}-"), css_width(picture.width))


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


def _citation(model: ReportModel) -> str:
    """An entry for a bibliography; the year is the run's."""
    started = str(model.inputs.environment.get("started"))
    plain = [" ".join("".join(c for c in text if c not in '{}\\"').split()) for text in (model.name, model.inputs.run)]
    year = f"  year    = {{{started[:4]}}},\n" if started[:4].isdigit() else ""
    return (
        f"@software{{ganprune,\n  title   = {{{TITLE}}},\n  author  = {{{{{AUTHORS}}}}},\n{year}"
        f"  version = {{{model.version}}},\n  note    = {{experiment {plain[0]}, run {plain[1]}}}\n}}"
    )

"""From what a run left to a folder with a report, its tables and its figures."""

from __future__ import annotations

from pathlib import Path

from bench.base.files import clear_unfinished, write_atomically
from bench.report.html import render_html
from bench.report.inputs import ReportInputs
from bench.report.markdown import render_markdown
from bench.report.model import build_model
from bench.report.paper import write_paper_tables
from bench.report.pictures import Artists
from bench.tables.write import write_files


def build_report(inputs: ReportInputs, folder: Path, *, artists: Artists | None = None) -> Path:
    """Write ``index.html``, ``report.md``, ``tables/`` and ``figures/`` into ``folder``.

    What is missing is said, not an error. ``artists`` draw the figures (default: two processes, started now); how many
    there are changes no byte.

    Returns:
        The path of ``index.html``; ``report.md`` beside it says the same.

    Raises:
        UserError: numbers of different versions would stand side by side.
        OSError: the folder cannot be written.
    """
    clear_unfinished(folder, folder / "tables", folder / "figures")
    with artists or Artists() as drawing:
        model = build_model(inputs, planned=drawing.begin)
        write_files(folder / "tables", model.tables, model.numbers.summary)
        write_paper_tables(folder / "tables", model.paper)
        pictures = drawing.pictures()
    for name, picture in pictures.items():
        for kind, content in picture.files.items():
            write_atomically(folder / "figures" / f"{name}.{kind}", content)
    drawn = [each for each in model.figures if each.name in pictures]
    sheets = [each for each in model.grids if each.name in pictures]
    write_atomically(folder / "report.md", render_markdown(model, drawn, sheets))
    page = folder / "index.html"
    write_atomically(page, render_html(model, drawn, sheets, pictures))
    return page

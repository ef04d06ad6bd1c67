"""The table on a terminal."""

from __future__ import annotations

import io

from rich import box
from rich.table import Table
from rich.text import Text

from bench.base.consoles import clean_console
from bench.gate.render.order import HEADINGS, cells, headline, worth_showing
from bench.gate.verdicts import Result

STYLES = {
    "regression": "bold red",
    "missing": "bold red",
    "not comparable": "bold red",
    "invalid": "yellow",
    "inconclusive": "yellow",
    "improved": "green",
}


def terminal(result: Result, *, width: int = 160, colour: bool = False) -> str:
    """Changed rows first; rows that are equal on both sides are counted only."""
    shown = worth_showing(result)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in HEADINGS:
        right = heading in {"BASE", "HEAD", "change", "interval"}
        table.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in shown:
        style = STYLES.get(row.verdict, "") if row.gated else "dim"
        table.add_row(
            *(Text(text, style=style if i == 0 or not row.gated else "") for i, text in enumerate(cells(row)))
        )
    out = clean_console(file=io.StringIO(), width=width, force_terminal=colour, markup=False)
    out.print(f"BASE  {result.base}\nHEAD  {result.head}", soft_wrap=True)
    if shown:
        out.print(table)
    for line in closing(result, len(shown)):
        out.print(line, soft_wrap=True)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def closing(result: Result, shown: int) -> list[str]:
    """What stands below the table: how many rows are not in it, the notes, the headline."""
    rest = len(result.rows) - shown
    lines = [f"{rest} rows are equal or within what is expected; --format json has all."] if rest else []
    if any(not row.gated for row in result.rows):
        lines.append("Verdicts in ( ) are for information and are not gated.")
    return [*lines, *(f"Note: {note}." for note in result.notes), headline(result)]

"""What the labels of strategies under constraints stand for."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records import Record
from bench.report.blocks import Code, Inline, line
from strategies.constraints import Constraints


def constraint_notes(records: Sequence[Record]) -> list[Inline]:
    """A sentence for every strategy under constraints: its name without them, and what they are."""
    cells = {record.cell.strategy: record.cell for record in records if record.cell.constraints}
    return [
        line(Code(label), " is ", Code(cells[label].base), " under ", Code(_words(cells[label].constraints)), ".")
        for label in sorted(cells)
    ]


def _words(table: dict[str, object]) -> str:
    return Constraints.of(table).words

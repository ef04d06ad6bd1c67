"""A table as a paper prints it, before it is LaTeX, Markdown or CSV: every number is rounded once, here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.tables import escape, markdown_table
from bench.tables.latency import NOT_SEPARABLE
from bench.tables.text import MISSING, half_text, places_for, seen_places

MASKED = "†"
"""Stands behind the name of a strategy whose networks are masked."""

ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Value:
    """What stands in one cell, as it is printed."""

    main: str
    """A number, or words."""
    half: str = ""
    """Half width of the interval, in the same unit."""
    unit: str = ""
    ratio: str = ""
    """How many times less than dense."""
    bound: bool = False
    """The number is at most, the ratio at least this."""
    number: bool = True
    low: str = ""
    high: str = ""
    """Ends of the interval, where it is not symmetric."""

    @property
    def text(self) -> str:
        """``≤ 30.1M (≥ 3.2x)``, ``12.34 ± 0.56``, ``1.52x [1.48, 1.57]``: the whole cell in one line."""
        half = f" ± {self.half}" if self.half else ""
        ratio = f" ({'≥ ' if self.bound else ''}{self.ratio}x)" if self.ratio else ""
        between = f" [{self.low}, {self.high}]" if self.low else ""
        return f"{'≤ ' if self.bound else ''}{self.main}{half}{self.unit}{between}{ratio}"


@dataclass(frozen=True)
class Column:
    """One column; a key column groups rows: its equal neighbours become one cell that spans them."""

    name: str
    """In the CSV file."""
    title: str
    qualifier: str = ""
    """What the title leaves open, in smaller type below it: ``[mnist-lenet]``, ``batch 1``."""
    direction: str = "none"
    key: bool = False

    @property
    def header(self) -> str:
        """Title, qualifier and arrow in one line."""
        glued = self.title + ("" if self.qualifier.startswith("[") or not self.qualifier else " ") + self.qualifier
        arrow = ARROWS.get(self.direction, "")
        return f"{glued} {arrow}" if arrow else glued


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    cells: tuple[Value, ...]
    best: frozenset[int] = frozenset()
    """Columns of measured values in which the row is in bold; its name is bold with them."""
    masked: bool = False
    dense: bool = False


@dataclass(frozen=True)
class PaperTable:
    """One table with its caption; ``name`` is that of its files and its label."""

    name: str
    title: str
    """The first sentence of the caption, without a full stop."""
    caption: tuple[str, ...]
    """The other sentences."""
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def strategy(self) -> int:
        """Where the names stand: the first column that is no key."""
        return next(index for index, column in enumerate(self.columns) if not column.key)

    def keys(self, line: Line) -> tuple[str, ...]:
        return tuple(cell.text for cell, column in zip(line.cells, self.columns, strict=True) if column.key)


def missing(words: str = MISSING) -> Value:
    """A cell without a number, and why."""
    return Value(words or MISSING, number=False)


def text(words: object) -> Value:
    return Value(str(words), number=False)


def decimals(value: float, digits: int, half: float = math.nan, unit: str = "") -> Value:
    """``value`` and its interval with a fixed number of decimals; up to two more where the interval needs them."""
    if math.isnan(value):
        return missing()
    places = places_for(half, seen_places(value, digits))
    return Value(f"{value:.{places}f}", "" if math.isnan(half) else half_text(half, places), unit)


def faster(ratio: float, low: float, high: float, verdict: str = "") -> Value:
    """A measured speed-up with its interval, ``1.52x [1.48, 1.57]``; without one where the ends are those of 1x, which
    is what a network of the same architecture has. Where the verdict is that it is none, that and the interval.
    """
    if math.isnan(ratio):
        return missing()
    if verdict == NOT_SEPARABLE:
        return Value(NOT_SEPARABLE, number=False, low=f"{low:.2f}", high=f"{high:.2f}")
    if math.isnan(low) or math.isnan(high) or low == ratio == high:
        return Value(f"{ratio:.2f}", unit="x")
    return Value(f"{ratio:.2f}", unit="x", low=f"{low:.2f}", high=f"{high:.2f}")


def counted(
    value: float, ratio: float, half: float = math.nan, *, smallest: str = "M", bound: bool = False, digits: int = 3
) -> Value:
    """A count with three significant digits and its prefix, ``30.1M (3.2x)``.

    ``smallest``: the smallest prefix to use; ``M`` shows thousands as 0.030M, so that one column has one unit.
    """
    if math.isnan(value):
        return missing()
    prefixes = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]
    cut = next((index for index, (_, prefix) in enumerate(prefixes) if prefix == smallest), len(prefixes) - 1)
    scale, prefix = next((pair for pair in prefixes[:cut] if value >= pair[0]), prefixes[cut])
    shown = value / scale
    places = max(0, digits - 1 - math.floor(math.log10(shown))) if 0 < shown < math.inf else digits - 1
    places = places_for(half / scale, places)
    return Value(
        f"{shown:.{places}f}",
        "" if math.isnan(half) else half_text(half / scale, places),
        prefix,
        "" if math.isnan(ratio) else times(ratio),
        bound,
    )


def times(ratio: float) -> str:
    """A ratio with one decimal; two below 2, where one would hide most of it."""
    return f"{ratio:.1f}" if ratio >= 1.95 else f"{ratio:.2f}"


def markdown(table: PaperTable) -> str:
    """The caption and a pipe table; what is bold in LaTeX is bold here."""
    rows = []
    for line in table.lines:
        cells = []
        for index, cell in enumerate(line.cells):
            name = index == table.strategy
            shown = escape(cell.text + (MASKED if name and line.masked else ""))
            bold = index in line.best or (name and bool(line.best))
            cells.append(f"**{shown}**" if bold else shown)
        rows.append(cells)
    headers = [escape(column.header) for column in table.columns]
    caption = " ".join(escape(sentence) for sentence in (f"{table.title}.", *table.caption))
    return f"{caption}\n\n{markdown_table(headers, rows, left=table.strategy + 1)}\n"


def comma_separated(table: PaperTable) -> str:
    """The same numbers apart: ``ms, ms_ci95``, ``params, params_unit, params_ratio``, ``speedup_b1, speedup_b1_low,
    speedup_b1_high``, and ``masked``, ``best``.

    ``best`` names the columns in which the row is in bold. A column that no row needs is left out.
    """
    parts: list[list[str]] = []
    headers: list[str] = []
    for index, column in enumerate(table.columns):
        cells = [line.cells[index] for line in table.lines]
        fields = {
            "": [cell.main for cell in cells],
            "_ci95": [cell.half for cell in cells],
            "_low": [cell.low for cell in cells],
            "_high": [cell.high for cell in cells],
            "_unit": [cell.unit.strip() for cell in cells],
            "_ratio": [cell.ratio for cell in cells],
            "_bound": ["at most" if cell.bound else "" for cell in cells],
        }
        for suffix, values in fields.items():
            if not suffix or any(values):
                headers.append(column.name + suffix)
                parts.append(["" if value == MISSING else value for value in values])
    headers += ["masked", "best"]
    parts.append(["true" if line.masked else "false" for line in table.lines])
    parts.append([" ".join(table.columns[index].name for index in sorted(line.best)) for line in table.lines])
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(zip(*parts, strict=True))
    return buffer.getvalue()


def _without_empty(table: PaperTable) -> PaperTable:
    """Leave out measured columns in which no row has a number, and key columns with one value for all rows.

    The innermost key column stays: it is what the groups are named after.
    """
    keys = [index for index, column in enumerate(table.columns) if column.key]
    kept = []
    for index, column in enumerate(table.columns):
        shown = {line.cells[index].text for line in table.lines}
        if index == table.strategy or index in keys[-1:] or (len(shown) > 1 if column.key else shown != {MISSING}):
            kept.append(index)
    place = {index: new for new, index in enumerate(kept)}
    lines = tuple(
        Line(
            tuple(line.cells[index] for index in kept),
            frozenset(place[index] for index in line.best if index in place),
            line.masked,
            line.dense,
        )
        for line in table.lines
    )
    return replace(table, columns=tuple(table.columns[index] for index in kept), lines=lines)


def tidied(table: PaperTable) -> PaperTable:
    """Without what has no number; ``n`` is a column only where it differs between rows."""
    if len({line.cells[-1].text for line in table.lines} - {MISSING}) < 2:
        lines = tuple(Line(line.cells[:-1], line.best, line.masked, line.dense) for line in table.lines)
        table = replace(table, columns=table.columns[:-1], lines=lines)
    return _without_empty(table)


def parts(table: PaperTable, most: int) -> list[PaperTable]:
    """The table in pieces of at most ``most`` rows, cut between groups; dense comes again in each piece.

    A group is cut only where it is longer than that by itself.
    """
    blocks: list[list[Line]] = []
    for line in table.lines:
        if blocks and table.keys(blocks[-1][0]) == table.keys(line):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    pieces: list[list[Line]] = [[]]
    dense: list[Line] = []
    lead: list[Line] = []
    for block in blocks:
        if block[0].dense:
            dense = lead = block
            continue
        room = max(1, most - len(dense))
        for start in range(0, len(block), room):
            chunk = block[start : start + room]
            if pieces[-1] and len(pieces[-1]) + len(lead) + len(chunk) > most:
                pieces.append([])
                lead = dense
            pieces[-1] += [*lead, *chunk]
            lead = []
    return [replace(table, lines=tuple(piece)) for piece in pieces if piece]


def join(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

"""What a report says, as data: text with marks in it, paragraphs, lists, tables, code.

Nothing is escaped here. `bench.report.markdown` and `bench.report.html_blocks` draw the same blocks, so that both
reports say the same, and names of others can become neither Markdown nor HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A name, as it is typed."""

    text: str


@dataclass(frozen=True)
class Strong:
    content: Inline


@dataclass(frozen=True)
class Link:
    """Text that leads to a file of the report."""

    text: str
    address: str


Span = str | Code | Strong | Link
Inline = tuple[Span, ...]
"""One line of text with marks; a plain string is plain text."""


@dataclass(frozen=True)
class Paragraph:
    content: Inline


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Inline, ...]


@dataclass(frozen=True)
class Heading:
    """Below the title of a section."""

    content: Inline


@dataclass(frozen=True)
class Grid:
    """A table of plain text; the first ``left`` columns are words, the others numbers where all their cells are."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    name: str = "Table"
    """What a screen reader calls it."""


@dataclass(frozen=True)
class Preformatted:
    """Text that keeps its lines."""

    text: str
    language: str = ""


Block = Paragraph | Items | Heading | Grid | Preformatted


@dataclass(frozen=True)
class Section:
    """Blocks under a title; without any it says nothing and is left out."""

    title: str
    blocks: tuple[Block, ...]

    def __bool__(self) -> bool:
        return bool(self.blocks)


def line(*parts: Span | Inline) -> Inline:
    """The parts one behind the other; empty ones vanish."""
    flat: list[Span] = []
    for part in parts:
        flat += part if isinstance(part, tuple) else (part,)
    return tuple(span for span in flat if span != "")


def coded(text: str) -> Inline:
    """A sentence of ours in which names stand between backticks. Not for text of others: that is a `Code` or plain."""
    return line(*(Code(part) if index % 2 else part for index, part in enumerate(text.split("`"))))


def listed(items: Iterable[Inline], between: str = ", ") -> Inline:
    """Items one behind the other with ``between`` in between."""
    found: list[Span | Inline] = []
    for item in items:
        found += [between, item] if found else [item]
    return line(*found)


def section(title: str, *blocks: Block | str | None) -> Section:
    """A section; a string is a paragraph of ours (`coded`), empty strings, lists and tables are left out."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, str):
            block = Paragraph(coded(block)) if block else None
        if block is None or (isinstance(block, Items) and not block.items):
            continue
        found.append(block)
    return Section(title, tuple(found))


def items(lines: Iterable[Inline]) -> Items:
    return Items(tuple(lines))


def grid(headers: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1, name: str = "Table") -> Grid:
    return Grid(tuple(map(str, headers)), tuple(tuple(map(str, row)) for row in rows), left, name)

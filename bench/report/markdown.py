"""The model as Markdown. Every text of others is escaped here, and only here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.report.blocks import Block, Code, Grid, Heading, Inline, Items, Link, Paragraph, Section, Strong
from bench.report.drawings import Drawing
from bench.report.model import ReportModel
from bench.tables.text import escape, escaped_table


def render_markdown(model: ReportModel, drawn: Sequence[Drawing], sheets: Sequence[Drawing]) -> str:
    """The whole report. ``drawn`` and ``sheets`` are the figures and the grids of samples that came out."""
    said = model.sections
    answer = Section("The answer", tuple(block for part in model.answer for block in part.blocks))
    notes = (Heading(("Keep in mind",)), *model.notes) if model.notes else ()
    results = Section("Results", (*notes, *model.results, Paragraph(model.files)))
    parts = [
        f"# {escape(model.title)}\n",
        _section(said.question),
        _section(answer),
        _section(results),
        _section(said.recoveries),
        _section(said.deploy),
        _pictures("Figures", drawn, "No figure: no pruned cell has a number to draw."),
        _pictures("Samples", sheets, "No samples were kept in this run."),
        *map(_section, (said.backends, said.method, said.cost, said.environment, said.failures, said.exclusions)),
        _section(said.columns),
        _section(said.experiment),
    ]
    return "\n".join(part for part in parts if part)


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks with an empty line between them."""
    return "\n\n".join(map(_block, blocks))


def inline(content: Inline) -> str:
    """One line of text with its marks."""
    return "".join(map(_span, content))


def _section(section: Section) -> str:
    return f"## {section.title}\n\n{markdown(section.blocks)}\n" if section else ""


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return inline(block.content)
    if isinstance(block, Items):
        return "\n".join(f"- {inline(item)}" for item in block.items)
    if isinstance(block, Heading):
        return f"### {inline(block.content)}"
    if isinstance(block, Grid):
        return escaped_table(block.headers, block.rows, block.left)
    return fenced(block.text, block.language)


def _span(span: str | Code | Strong | Link) -> str:
    if isinstance(span, Code):
        return f"`{escape(span.text)}`"
    if isinstance(span, Strong):
        return f"**{inline(span.content)}**"
    if isinstance(span, Link):
        return f"[{escape(span.text)}]({span.address})"
    return _plain(span)


def _plain(text: str) -> str:
    """Escaped, with the blanks at its ends, which join it to its neighbours."""
    before, after = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
    return f"{before}{escape(text)}{after}" if text.strip(" ") else text


def _pictures(title: str, drawn: Sequence[Drawing], nothing: str) -> str:
    return f"## {title}\n\n" + ("\n\n".join(map(_picture, drawn)) or nothing) + "\n"


def _picture(drawing: Drawing) -> str:
    caption = escape(drawing.caption)
    alt = caption.replace("[", "(").replace("]", ")")
    path = f"figures/{drawing.name}"
    return f"![{alt}]({path}.png)\n\n*{caption}.* ([PDF]({path}.pdf), [SVG]({path}.svg))"


def fenced(text: str, language: str = "") -> str:
    """A code block that ``text`` cannot end."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"

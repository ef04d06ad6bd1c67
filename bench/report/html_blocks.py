"""Blocks as HTML. Every text is escaped here, so nothing in it can become an element."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from bench.report.blocks import Block, Code, Grid, Heading, Inline, Items, Link, Paragraph, Strong
from bench.tables.text import numeric, one_line


def html(blocks: Sequence[Block]) -> Markup:
    """Paragraphs, lists, tables, headings of the third level and code."""
    return Markup("\n").join(map(_block, blocks))


def inline(content: Inline) -> Markup:
    """One line of text with its marks."""
    return Markup("").join(map(_span, content))


def _span(span: str | Code | Strong | Link) -> Markup:
    if isinstance(span, Code):
        return Markup("<code>{}</code>").format(one_line(span.text))
    if isinstance(span, Strong):
        return Markup("<strong>{}</strong>").format(inline(span.content))
    if isinstance(span, Link):
        return escape(one_line(span.text))  # the page carries its files along
    return escape("".join(c if c.isprintable() else " " for c in span))


def _block(block: Block) -> Markup:
    if isinstance(block, Paragraph):
        return Markup("<p>{}</p>").format(inline(block.content))
    if isinstance(block, Items):
        return Markup("<ul>{}</ul>").format(
            Markup("").join(Markup("<li>{}</li>").format(inline(item)) for item in block.items)
        )
    if isinstance(block, Heading):
        return Markup("<h3>{}</h3>").format(inline(block.content))
    if isinstance(block, Grid):
        return _grid(block)
    return Markup('<pre tabindex="0"><code>{}</code></pre>').format(block.text)


def _grid(block: Grid) -> Markup:
    if not block.rows:
        return Markup("<p>no rows</p>")
    classes = [Markup(' class="num"' if right else "") for right in numeric(block.headers, block.rows, block.left)]
    head = [
        Markup('<th scope="col"{}>{}</th>').format(name, one_line(cell))
        for name, cell in zip(classes, block.headers, strict=True)
    ]
    body = []
    for row in block.rows:
        first = Markup('<th scope="row">{}</th>').format(one_line(row[0]))
        cells = [Markup("<td{}>{}</td>").format(name, one_line(cell)) for name, cell in zip(classes, row, strict=True)]
        body.append(Markup("<tr>{}</tr>").format(Markup("").join([first, *cells[1:]])))
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table><caption class="hidden">{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(block.name, block.name, Markup("").join(head), Markup("").join(body))

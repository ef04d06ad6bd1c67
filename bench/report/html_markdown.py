"""The Markdown that this package writes, as HTML: one text for both reports.

Only what `bench.report.markdown` and `bench.report.answer` use is understood. Every character of the text is taken
back from its Markdown escape and escaped for HTML, so nothing in it can become an element.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_INLINE = re.compile(
    r"`(?P<code>(?:\\.|[^`\\])*)`|\*\*(?P<bold>(?:\\.|[^*\\])+)\*\*|\*(?P<italic>(?:\\.|[^*\\])+)\*|\\."
)
_ESCAPED = re.compile(r"\\([\\`*|~_()\[\]])")
_CELL = re.compile(r"(?<!\\)\|")


def markdown_html(text: str, *, table_label: str = "Table") -> Markup:
    """Paragraphs, lists, tables, headings below the second level and fenced code; second-level headings are left out.

    ``table_label`` names the scrolling region of each table for screen readers.
    """
    return Markup("\n").join(_block(kind, lines, table_label) for kind, lines in _blocks(text.splitlines()))


def inline_html(text: str) -> Markup:
    """One line: code, bold and italic, everything else as it is."""
    parts, position = [], 0
    for match in _INLINE.finditer(text):
        if match["code"] is match["bold"] is match["italic"] is None:
            continue  # an escaped character belongs to the text around it
        parts.append(_plain(text[position : match.start()]))
        if match["code"] is not None:
            parts.append(Markup("<code>{}</code>").format(_plain(match["code"])))
        elif match["bold"] is not None:
            parts.append(Markup("<strong>{}</strong>").format(inline_html(match["bold"])))
        else:
            parts.append(Markup("<em>{}</em>").format(inline_html(match["italic"])))
        position = match.end()
    return Markup("").join([*parts, _plain(text[position:])])


def _plain(text: str) -> Markup:
    return escape(html.unescape(_ESCAPED.sub(r"\1", text)).replace("\u200b", ""))


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    index = 0
    while index < len(lines):
        line = lines[index]
        if fence := re.match(r"`{3,}", line):
            end = next(i for i in range(index + 1, len(lines) + 1) if i == len(lines) or lines[i] == fence[0])
            yield "code", lines[index + 1 : end]
            index = end + 1
            continue
        kind = _kind(line)
        end = index + 1
        while kind != "heading" and end < len(lines) and _kind(lines[end]) == kind:
            end += 1
        if kind != "blank":
            yield kind, lines[index:end]
        index = end


def _kind(line: str) -> str:
    starts = {"- ": "list", "|": "table", "#": "heading", "```": "fence"}
    return next((kind for start, kind in starts.items() if line.startswith(start)), "text" if line.strip() else "blank")


def _block(kind: str, lines: list[str], table_label: str) -> Markup:
    if kind == "code":
        return Markup('<pre tabindex="0"><code>{}</code></pre>').format("\n".join(lines))
    if kind == "heading":
        marks, _, title = lines[0].partition(" ")
        level = min(len(marks), 6)
        return Markup(f"<h{level}>{{}}</h{level}>").format(inline_html(title)) if level > 2 else Markup("")
    if kind == "list":
        items = [Markup("<li>{}</li>").format(inline_html(line[2:])) for line in lines]
        return Markup("<ul>{}</ul>").format(Markup("").join(items))
    if kind == "table":
        return _table(lines, table_label)
    return Markup("<p>{}</p>").format(inline_html(" ".join(lines)))


def _table(lines: list[str], label: str) -> Markup:
    header, rule, *rows = [[cell.strip() for cell in _CELL.split(line.strip())[1:-1]] for line in lines]
    classes = [Markup(' class="num"') if cell.endswith(":") else Markup("") for cell in rule]
    head = [
        Markup('<th scope="col"{}>{}</th>').format(name, inline_html(cell))
        for name, cell in zip(classes, header, strict=False)
    ]
    body = []
    for row in rows:
        cells = [
            Markup('<th scope="row">{}</th>').format(inline_html(cell))
            if index == 0
            else Markup("<td{}>{}</td>").format(classes[index], inline_html(cell))
            for index, cell in enumerate(row)
        ]
        body.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table><caption class="hidden">{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(label, label, Markup("").join(head), Markup("").join(body))

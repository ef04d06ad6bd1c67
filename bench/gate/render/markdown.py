"""The comparison as a comment on a pull request or a job's summary."""

from __future__ import annotations

from bench.base.printable import one_line
from bench.gate.render.order import HEADINGS, cells, headline, worth_showing
from bench.gate.verdicts import Result

LIMIT = 60_000
"""Characters; GitHub refuses comments above 65,536."""
SPECIAL = "\\`*_{}[]<>()#|!~"


def markdown(result: Result) -> str:
    """A heading, the rows that are not equal, the rest folded away; never longer than `LIMIT`."""
    rows = worth_showing(result)
    gated, others = ([row for row in rows if row.gated is flag] for flag in (True, False))
    head = [f"### {escape(headline(result))}", "", f"BASE: {escape(result.base)}  ", f"HEAD: {escape(result.head)}", ""]
    notes = [f"> {escape(note)}." for note in result.notes]
    rest = len(result.rows) - len(rows)
    tail = ["", *notes, "", f"{rest} rows are equal or within what is expected.", ""]
    lines = [*head, *(_table([cells(row) for row in gated]) if gated else ["Nothing that is gated has changed."])]
    if others:
        folded = _table([cells(row) for row in others])
        lines += ["", "<details><summary>For information, not gated</summary>", "", *folded, "", "</details>"]
    text = "\n".join([*lines, *tail])
    if len(text) <= LIMIT:
        return text
    closing = ["", "Cut off here; the JSON has all rows.", *tail]
    room = LIMIT - sum(len(line) + 1 for line in closing)
    kept: list[str] = []
    for line in [*head, *_table([cells(row) for row in gated])]:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*kept, *closing])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'|'.join('---' for _ in HEADINGS)}|"]
    return lines + [f"| {' | '.join(map(escape, row))} |" for row in rows]


def escape(text: str) -> str:
    """Text in which nothing is markup: names come from files."""
    flat = one_line(" ".join(text.split()))
    return "".join(f"\\{c}" if c in SPECIAL else c for c in flat).replace("\\<", "&lt;").replace("\\>", "&gt;")

r"""Paper tables as LaTeX that goes into a paper as it is: booktabs, multirow and graphicx, nothing else.

`escape_latex` makes any text safe under pdflatex with its default (OT1) fonts: what these have no glyph for is
written as its code point. `latex` sets a table; `preview` is a document that shows several.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bench.report.papertable import ARROWS, MASKED, Column, Line, PaperTable, Value, parts

MOST_ROWS = 36
"""Rows of one float; more than that does not fit a page at this type size."""

_ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\ttfamily\char34}", "`": r"\`{}",
}  # fmt: skip

_LETTERS = {
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "–": r"\textendash{}", "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}", "’": r"\textquoteright{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
    "…": r"\dots{}", "¿": r"\textquestiondown{}", "¡": r"\textexclamdown{}",
}  # fmt: skip

_MATH = {
    "±": r"\pm", "×": r"\times", "÷": r"\div", "·": r"\cdot", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx",
    "−": "-", "∞": r"\infty", "°": r"^{\circ}", "²": "^{2}", "³": "^{3}", "¹": "^{1}", "¬": r"\neg",
    "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow", "↔": r"\leftrightarrow",
    "†": r"\dagger", "‡": r"\ddagger", "§": r"\mathsection", "¶": r"\mathparagraph", "√": r"\surd",
    "⁰": "^{0}", "⁴": "^{4}", "⁵": "^{5}", "⁶": "^{6}", "⁷": "^{7}", "⁸": "^{8}", "⁹": "^{9}", "⁻": "^{-}",
    "∑": r"\sum", "∂": r"\partial", "∈": r"\in", "Δ": r"\Delta", "Σ": r"\Sigma", "Ω": r"\Omega",
    "Φ": r"\Phi", "Ψ": r"\Psi", "Γ": r"\Gamma", "Θ": r"\Theta", "Λ": r"\Lambda", "Π": r"\Pi", "Ξ": r"\Xi",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "ζ": r"\zeta", "η": r"\eta",
    "θ": r"\theta", "ι": r"\iota", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "ν": r"\nu",
    "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi", "χ": r"\chi",
    "ψ": r"\psi", "ω": r"\omega",
}  # fmt: skip

_ACCENTS = {
    "\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u",
    "\u0307": r"\.", "\u0308": r'\"', "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0323": r"\d",
    "\u0327": r"\c",
}  # fmt: skip


def escape_latex(text: object) -> str:
    """``text`` as one line of LaTeX text that prints exactly its characters, in a cell, a header or a caption.

    Accented Latin letters, Greek letters and common symbols are set; any other character becomes ``[U+4E2D]``.
    White space, also line breaks, becomes one blank; control characters vanish.
    """
    line = re.sub(r"\s+", " ", str(text)).strip()
    shown = "".join(_character(one) for one in unicodedata.normalize("NFC", line))
    shown = re.sub(r"([-'])(?=\1)", r"\1{}", shown)  # no ligatures: two hyphens stay two
    return f"{{{shown[0]}}}{shown[1:]}" if shown[:1] in ("[", "*") else shown  # no argument of a line's end


def _character(one: str) -> str:
    if one in _ASCII:
        return _ASCII[one]
    if one.isascii():
        return one if one.isprintable() else ""
    if one in _LETTERS:
        return _LETTERS[one]
    if one in _MATH:
        return f"${_MATH[one]}$"
    base, *marks = list(unicodedata.normalize("NFD", one))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        return f"{_ACCENTS[marks[0]]}{{{base}}}"
    if one.isspace():
        return " "
    if unicodedata.category(one) in ("Cc", "Cf"):
        return ""
    return f"[U+{ord(one):04X}]"


def label(name: str) -> str:
    r"""``tab:`` and ``name`` with nothing in it that ``\label`` or ``\ref`` could stumble over."""
    return "tab:" + (re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-") or "table")


def latex(table: PaperTable, *, wide: bool = False, most_rows: int = MOST_ROWS) -> str:
    r"""One ``table`` float, or several where the rows do not fit a page; ``wide``: ``table*``, over both columns.

    A tabular that is wider than the text, and only such a one, is scaled down to it.
    """
    pieces = parts(table, most_rows)
    return "\n".join(_float(piece, number, len(pieces), wide) for number, piece in enumerate(pieces, 1))


def preview(files: Sequence[str]) -> str:
    """A document that inputs these files, to look at them or to check that they compile."""
    inputs = "\n".join(rf"\input{{{name}}}" for name in files)
    return rf"""\documentclass[10pt,a4paper]{{article}}
\usepackage{{booktabs,multirow,graphicx}}
\setlength{{\textwidth}}{{6.9in}}\setlength{{\oddsidemargin}}{{-0.32in}}\setlength{{\evensidemargin}}{{-0.32in}}
\setlength{{\textheight}}{{9.6in}}\setlength{{\topmargin}}{{-0.5in}}
\begin{{document}}
{inputs}
\end{{document}}
"""


def _float(table: PaperTable, number: int, count: int, wide: bool) -> str:
    environment = "table*" if wide else "table"
    width = r"\textwidth" if wide else r"\linewidth"
    name = label(table.name)
    caption = " ".join(escape_latex(sentence) for sentence in (f"{table.title}.", *table.caption))
    if number > 1:
        caption = rf"Table~\ref{{{name}}} continued ({number} of {count})."
        name = f"{name}-{number}"
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs,multirow,graphicx}.",
            rf"\begin{{{environment}}}[tp]",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \label{{{name}}}",
            r"  \vspace{0.5em}",
            r"  \small\setlength{\tabcolsep}{4.5pt}%",
            r"  \sbox0{%",
            *(f"    {row}" for row in _tabular(table)),
            r"  }%",
            rf"  \ifdim\wd0>{width}\resizebox{{{width}}}{{!}}{{\usebox0}}\else\usebox0\fi",
            rf"\end{{{environment}}}",
            "",
        ]
    )


def _tabular(table: PaperTable) -> list[str]:
    sets = [_Set.of([line.cells[index] for line in table.lines]) for index in range(len(table.columns))]
    spans = _spans(table)
    last = sum(each.width for each in sets)
    rows = [rf"\begin{{tabular}}{{@{{}}{''.join(each.spec for each in sets)}@{{}}}}", r"\toprule"]
    rows += _head(table.columns, sets)
    before: Line | None = None
    for index, line in enumerate(table.lines):
        rows.append(_rule(table, before, line, last))
        cells = [_cell(table, index, column, sets[column], spans) for column in range(len(table.columns))]
        rows.append(" & ".join(cells) + r" \\")
        before = line
    return [*(row for row in rows if row), r"\bottomrule", r"\end{tabular}%"]


class _Set:
    """The tabular columns that one column of the table takes: number, interval, ratio, each aligned by itself."""

    def __init__(self, numeric: bool, half: bool, ratio: bool, between: bool) -> None:
        self.numeric, self.half, self.ratio, self.between = numeric, half, ratio, between
        self.width = 1 + half + ratio + between
        self.spec = ("r" if numeric else "l") + "@{}l" * half + "@{\\,}l" * between + "@{\\ }r" * ratio

    @staticmethod
    def of(cells: Sequence[Value]) -> _Set:
        numeric = any(cell.number for cell in cells)
        named = (any(getattr(cell, name) for cell in cells) for name in ("half", "ratio", "low"))
        return _Set(numeric, *named)


def _head(columns: Sequence[Column], sets: Sequence[_Set]) -> list[str]:
    first, second = [], []
    for column, each in zip(columns, sets, strict=True):
        arrow = _math(ARROWS[column.direction]) if column.direction in ARROWS else ""
        first.append(_over(each, escape_latex(column.title) + (f" {arrow}" if arrow else "")))
        below = rf"\scriptsize {escape_latex(column.qualifier)}" if column.qualifier else ""
        second.append(_over(each, below))
    rows = [" & ".join(first) + r" \\"]
    return [*rows, " & ".join(second) + r" \\"] if any(column.qualifier for column in columns) else rows


def _over(each: _Set, words: str) -> str:
    """Words above, or instead of, the numbers of one column."""
    if not each.numeric:
        return words
    return rf"\multicolumn{{{each.width}}}{{c}}{{{words}}}"


def _rule(table: PaperTable, before: Line | None, line: Line, last: int) -> str:
    if before is None:
        return r"\midrule"
    old, new = table.keys(before), table.keys(line)
    changed = next((index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b), None)
    if changed is None:
        return ""
    return r"\midrule" if changed == 0 else rf"\cmidrule{{{changed + 1}-{last}}}"


def _spans(table: PaperTable) -> dict[tuple[int, int], int]:
    """(row, key column) -> how many rows a key's cell covers, for the first row of each run."""
    keys = [table.keys(line) for line in table.lines]
    found: dict[tuple[int, int], int] = {}
    for column in range(table.strategy):
        start = 0
        for row in range(1, len(keys) + 1):
            if row == len(keys) or keys[row][: column + 1] != keys[start][: column + 1]:
                found[start, column] = row - start
                start = row
    return found


def _cell(table: PaperTable, row: int, column: int, each: _Set, spans: dict[tuple[int, int], int]) -> str:
    line = table.lines[row]
    cell = line.cells[column]
    if table.columns[column].key:
        words = escape_latex(cell.main) + _unit(cell.unit)
        count = spans.get((row, column), 0)
        return words if count == 1 else (rf"\multirow{{{count}}}{{*}}{{{words}}}" if count else "")
    if column == table.strategy:
        words = escape_latex(cell.text)
        words = rf"\textbf{{{words}}}" if line.best else words
        return words + (f"$^{_MARK}$" if line.masked else "")
    return _number(cell, each, column in line.best)


_MARK = _MATH[MASKED]


def _number(cell: Value, each: _Set, bold: bool) -> str:
    if not cell.number:
        return _over(each, escape_latex(cell.text))
    digits = rf"\mathbf{{{cell.main}}}" if bold else cell.main
    unit = rf"\textbf{{{_unit(cell.unit)}}}" if bold and cell.unit else _unit(cell.unit)
    most, least = (r"\le ", r"\ge ") if cell.bound else ("", "")
    written = [f"${most}{digits}$" + ("" if each.half else unit)]
    if each.half:
        half = cell.half.replace("<", "{<}")
        half = rf"\mathbf{{{half}}}" if bold else half
        written.append((rf"${{}}\pm {half}$" if cell.half else "") + unit)
    if each.between:
        written.append(rf"\scriptsize $[{cell.low}, {cell.high}]$" if cell.low else "")
    if each.ratio:
        ratio = rf"\mathbf{{{cell.ratio}}}" if bold else cell.ratio
        written.append(rf"(${least}{ratio}\times$)" if cell.ratio else "")
    return " & ".join(written)


def _unit(unit: str) -> str:
    """A unit behind its number: close, or after a thin space; ``x`` is the sign for times."""
    if unit == "x":
        return _math("×")
    return (r"\," if unit.startswith(" ") else "") + escape_latex(unit)


def _math(one: str) -> str:
    return f"${_MATH[one]}$"

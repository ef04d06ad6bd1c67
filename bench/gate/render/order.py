"""Which rows come first, and how their numbers are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.gate.verdicts import Result, Row, Verdict

WORST_FIRST: tuple[Verdict, ...] = (
    "regression", "missing", "not comparable", "invalid", "inconclusive", "changed", "improved", "new", "ok",
)  # fmt: skip
HEADINGS = ("verdict", "cell", "metric", "BASE", "HEAD", "change", "interval", "why")


def changed_first(rows: Sequence[Row]) -> list[Row]:
    """Gated rows before the others, the worst first; rows with nothing to say (``ok``) last, otherwise as they came."""
    return sorted(rows, key=lambda row: (not row.gated, WORST_FIRST.index(row.verdict)))


def worth_showing(result: Result) -> list[Row]:
    """Every row that is not ``ok``, and the gated ones that are ok though not equal; the rest is counted only."""
    return [
        row
        for row in changed_first(result.rows)
        if row.verdict != "ok" or (row.gated and row.kind in {"stochastic", "timing"} and row.change != 0)
    ]


def headline(result: Result) -> str:
    """One sentence."""
    gated = Counter(row.verdict for row in result.rows if row.gated)
    counts = ", ".join(f"{gated[verdict]} {verdict}" for verdict in WORST_FIRST if gated[verdict])
    words = {"ok": "no regression", "regression": "REGRESSION", "undecided": "UNDECIDED"}[result.verdict]
    return f"{result.experiment}: {words} ({counts or 'nothing is gated'})"


def cells(row: Row) -> tuple[str, ...]:
    """A row under `HEADINGS`."""
    unit = " ms" if row.kind == "timing" else ""
    interval = "" if row.low is None or row.high is None else f"{signed(row.low)} to {signed(row.high)}"
    verdict = row.verdict if row.gated else f"({row.verdict})"
    change = "" if row.change is None else signed(row.change)
    return (verdict, row.cell, row.metric, number(row.base, unit), number(row.head, unit), change, interval, row.reason)


def number(value: float | None, unit: str) -> str:
    """A number as people write it: whole ones in full, others with four digits."""
    if value is None:
        return ""
    return f"{value:,.0f}{unit}" if value == round(value) and abs(value) >= 100 else f"{value:.4g}{unit}"


def signed(ratio: float) -> str:
    """``+1.2 %``."""
    return f"{100 * ratio:+.1f} %"

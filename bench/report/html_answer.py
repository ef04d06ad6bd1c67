"""Beside the claims: what this run measured, said as a description, and the verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.report.answer import difference_text
from bench.report.claims import LEAST_SEEDS, SAME_SIZE, Claim, Verdict
from bench.tables import escape
from bench.tables.lead import family_of, lead_of, power_for, scaled, times_ten, title_of
from bench.tables.naming import DENSE
from bench.tables.text import number, with_interval
from bench.tables.tidy import rows_of

PLACE = ["workload", "checkpoint", "recovery", "target"]
Row = dict[str, Any]

SIGNS: dict[Verdict, tuple[str, str]] = {
    "lower": ("▼", "lower"),
    "higher": ("▲", "higher"),
    "not separable": ("≈", "not separable"),
    "identical": ("=", "identical"),
    "collapsed": ("×", "not compared: a seed collapsed"),
    "other size": ("·", "not compared: another achieved sparsity"),
    "too few seeds": ("·", f"not compared: fewer than {LEAST_SEEDS} shared seeds"),
}


@dataclass(frozen=True)
class Mark:
    """One comparison with the reference, as a sign, in words, and as numbers."""

    kind: str
    sign: str
    words: str
    numbers: str


@dataclass(frozen=True)
class Verdicts:
    """All comparisons with the reference in one place: strategies down, levels across."""

    place: str
    levels: list[str]
    rows: list[tuple[str, list[Mark | None]]]


def lowest_means(summary: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """For each workload (and checkpoint, recovery, target), one Markdown sentence a level: the lowest mean FID (or KID)
    and what that network saves. A description of the means; nothing here is a test.
    """
    found = []
    for place, group in _places(summary):
        rows = rows_of(group)
        lead = lead_of(rows)
        if not lead:
            continue
        dense = [row for row in rows_of(summary) if _is_dense_of(row, rows[0])]
        pruned = [row for row in rows if row["strategy"] != DENSE and not math.isnan(row["requested"])]
        levels = dict.fromkeys(row["level"] for row in sorted(pruned, key=lambda row: row["requested"]))
        sentences = [_sentence([row for row in pruned if row["level"] == level], dense, lead) for level in levels]
        if any(row["strategy"] != DENSE and math.isnan(row["requested"]) for row in rows):
            sentences.append("Strategies with a knob of their own have no level in common and stand in the table only.")
        if sentences:
            found.append((place, sentences))
    return found


def verdicts(claims: Sequence[Claim]) -> list[Verdicts]:
    """The comparisons with the reference, one table a place."""
    names = _varied(pd.DataFrame([[getattr(claim, name) for name in PLACE] for claim in claims], columns=PLACE))
    places: dict[str, list[Claim]] = {}
    for claim in claims:
        places.setdefault(", ".join(getattr(claim, name) for name in names), []).append(claim)
    found = []
    for place, group in places.items():
        levels = list(dict.fromkeys(claim.level for claim in sorted(group, key=lambda claim: claim.requested)))
        rows = []
        for strategy in dict.fromkeys(claim.strategy for claim in group):
            mine = {claim.level: _mark(claim) for claim in group if claim.strategy == strategy}
            rows.append((strategy, [mine.get(level) for level in levels]))
        found.append(Verdicts(place, levels, rows))
    return found


def _sentence(rows: list[Row], dense: list[Row], lead: str) -> str:
    """Markdown; ``rows`` are all strategies at one level of one place, judged by the family ``lead``."""
    level, mean, judge = escape(rows[0]["level"]), f"{lead}_mean", title_of(lead)
    usable = [row for row in rows if not row["collapsed"] and not math.isnan(row[mean])]
    if not usable:
        return f"**{level}**: no strategy has a mean {judge}."
    best = min(usable, key=lambda row: row[mean])
    power = power_for(lead, [row[mean] for row in usable])
    judge = " ".join(filter(None, (judge, times_ten(power))))
    shown = with_interval(*scaled(best, (mean, f"{lead}_ci95"), power), 2)
    known = [row for row in dense if not math.isnan(row[mean])]
    base = f", dense {number(known[0][mean] * 10**power, 2)}" if known else ""
    few = f"; n = {int(best['n'])} is too few for a claim" if best["n"] < LEAST_SEEDS else ""
    among = f"of {len(usable)} strategies" if len(usable) > 1 else "the only strategy with a mean"
    text = f"**{level}**: `{escape(best['strategy'])}` ({among}), {judge} {shown}{base}{few}. {_saving(best)}"
    notes = []
    if abs(best["achieved_params"] - best["requested"]) > SAME_SIZE:
        notes.append(f"It achieved {best['achieved_params']:.2f}.")
    if len(rows) > len(usable):
        notes.append(f"{len(rows) - len(usable)} without a mean here (collapsed or not possible).")
    return " ".join([text, *notes])


def _saving(row: Row) -> str:
    if not row["physical"]:
        zeros = number(100 * row["achieved_params"], 0)
        return f"Masked: {zeros} % of its weights are zero, but it stores and executes as much as dense."
    parts = [
        f"{number(100 * (1 - 1 / row[name]), 0)} % fewer {words}"
        for name, words in (("params_ratio", "parameters"), ("macs_dense_ratio", "MACs"))
        if not math.isnan(row[name]) and row[name] >= 1
    ]
    for batch in (1, 16):
        if not math.isnan(row[f"speedup_b{batch}"]):
            parts.append(f"measured {number(row[f'speedup_b{batch}'], 2)}× the speed of dense at batch {batch}")
    return f"{', '.join(parts)}." if parts else "What it saves is not known: there is no dense row."


def _mark(claim: Claim) -> Mark:
    sign, words = SIGNS[claim.verdict]
    if claim.verdict in ("lower", "higher"):
        words = f"{words} {title_of(family_of(claim.metric))}"
    shown = claim.verdict in ("lower", "higher", "not separable")
    numbers = difference_text(claim) if shown else ""
    return Mark(claim.verdict.replace(" ", "-"), sign, words, numbers)


def _places(summary: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    pruned = summary[summary["strategy"] != DENSE]
    names = _varied(pruned[PLACE])
    return [
        (", ".join(str(group[name].iloc[0]) for name in names), group) for _, group in pruned.groupby(PLACE, sort=False)
    ]


def _varied(places: pd.DataFrame) -> list[str]:
    """The workload, and of the others those that differ within the run."""
    return [name for name in PLACE if name == "workload" or places[name].nunique() > 1]


def _is_dense_of(row: Row, other: Row) -> bool:
    same = ("workload", "checkpoint", "recovery")
    return row["strategy"] == DENSE and all(row[name] == other[name] for name in same)

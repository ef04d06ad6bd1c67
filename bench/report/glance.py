"""Beside the claims: what this run measured, said as a description, and the verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.report.answer import difference_text, words
from bench.report.blocks import Code, Inline, Strong, line
from bench.tables.claim import SAME_SIZE, Claim, Verdict
from bench.tables.latency import NOT_SEPARABLE
from bench.tables.lead import lead_of, power_in, scaled, titled
from bench.tables.naming import DENSE
from bench.tables.text import number, seen_places, speedup_text, with_interval
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

PLACE = ["workload", "checkpoint", "recovery", "target"]
Row = dict[str, Any]

SIGNS: dict[Verdict, tuple[str, str]] = {
    "lower": ("▼", ""),
    "higher": ("▲", ""),
    "not separable": ("≈", "not separable"),
    "identical": ("=", "identical"),
    "collapsed": ("×", "not compared: some seeds collapsed"),
    "worse: collapsed": ("×", "worse: collapsed"),
    "better: the other collapsed": ("·", "better: the other collapsed"),
    "both collapsed": ("×", "both collapsed"),
    "other size": ("·", "not compared: another achieved sparsity"),
    "too few seeds": ("·", "not compared: too few shared seeds"),
}


@dataclass(frozen=True)
class Mark:
    """One comparison with the reference, as a sign, in words, and as numbers."""

    kind: str
    """``better``, ``worse``, or the verdict."""
    sign: str
    words: str
    numbers: str


@dataclass(frozen=True)
class Verdicts:
    """All comparisons with the reference in one place: strategies down, levels across."""

    place: str
    judge: str
    """The title of what was compared."""
    levels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Mark | None, ...]], ...]


@dataclass(frozen=True)
class Best:
    """The best means of one place, a sentence a level. A description of the means; nothing here is a test."""

    place: str
    lines: tuple[Inline, ...]


def best_means(summary: pd.DataFrame) -> list[Best]:
    """For each workload (and checkpoint, recovery, target) the best mean at each level and what that network saves."""
    found = []
    for place, group in _places(summary):
        rows = rows_of(group)
        lead = lead_of(rows)
        if not lead:
            continue
        dense = [row for row in rows_of(summary) if _is_dense_of(row, rows[0])]
        pruned = [row for row in rows if row["strategy"] != DENSE and not math.isnan(row["requested"])]
        levels = dict.fromkeys(row["level"] for row in sorted(pruned, key=lambda row: row["requested"]))
        lines = [_sentence([row for row in pruned if row["level"] == level], dense, lead) for level in levels]
        if any(row["strategy"] != DENSE and math.isnan(row["requested"]) for row in rows):
            lines.append(("Strategies with a knob of their own have no level in common and stand in the table only.",))
        if lines:
            found.append(Best(place, tuple(lines)))
    return found


def best_words(judging: Sequence[Quantity]) -> str:
    """``Lowest mean`` with the title of what judges; where directions differ, ``Best``."""
    directions = {quantity.direction for quantity in judging}
    word = {"lower": "Lowest", "higher": "Highest"}.get(directions.pop(), "Best") if len(directions) == 1 else "Best"
    return f"{word} mean {' or '.join(quantity.title for quantity in judging)}"


def verdicts(claims: Sequence[Claim]) -> list[Verdicts]:
    """The comparisons with the reference, one table a place."""
    names = _varied(pd.DataFrame([[getattr(claim, name) for name in PLACE] for claim in claims], columns=PLACE))
    places: dict[str, list[Claim]] = {}
    for claim in claims:
        places.setdefault(", ".join(getattr(claim, name) for name in names), []).append(claim)
    found = []
    for place, group in places.items():
        levels = tuple(dict.fromkeys(claim.level for claim in sorted(group, key=lambda claim: claim.requested)))
        rows = []
        for strategy in dict.fromkeys(claim.strategy for claim in group):
            mine = {claim.level: _mark(claim) for claim in group if claim.strategy == strategy}
            rows.append((strategy, tuple(mine.get(level) for level in levels)))
        found.append(Verdicts(place, group[0].quantity.title, levels, tuple(rows)))
    return found


def _sentence(rows: list[Row], dense: list[Row], lead: Quantity) -> Inline:
    """``rows`` are all strategies at one level of one place, judged by ``lead``."""
    level, mean = Strong((str(rows[0]["level"]),)), f"{lead.name}_mean"
    usable = [row for row in rows if not row["collapsed"] and not math.isnan(row[mean])]
    if not usable:
        return line(level, f": no strategy has a mean {lead.title}.")
    best = min(usable, key=lambda row: lead.sign * row[mean])
    power = power_in(usable, lead)
    value, half = scaled(best, (mean, f"{lead.name}_ci95"), power)
    places = seen_places(value, lead.decimals)
    shown = with_interval(value, half, places)
    known = [row for row in dense if not math.isnan(row[mean])]
    of_dense = known[0][mean] * 10**power if known else math.nan
    base = f", dense {number(of_dense, seen_places(of_dense, lead.decimals))}" if known else ""
    few = "; without an interval: no claim" if math.isnan(half) else ""
    among = f"of {len(usable)} strategies" if len(usable) > 1 else "the only strategy with a mean"
    notes = [f"{titled(lead, power)} {shown}{base}{few}. {_saving(best)}"]
    if abs(best["achieved_params"] - best["requested"]) > SAME_SIZE:
        notes.append(f"It achieved {best['achieved_params']:.2f}.")
    if len(rows) > len(usable):
        notes.append(f"{len(rows) - len(usable)} without a mean here (collapsed or not possible).")
    return line(level, ": ", Code(str(best["strategy"])), f" ({among}), {' '.join(notes)}")


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
            shown = speedup_text(row, batch, "×")
            said = f"speed-up {shown}" if shown == NOT_SEPARABLE else f"{shown} the speed of dense"
            parts.append(f"measured {said} at batch {batch}")
    return f"{', '.join(parts)}." if parts else "What it saves is not known: there is no dense row."


def _mark(claim: Claim) -> Mark:
    sign, said = SIGNS[claim.verdict]
    kind = claim.verdict.replace(": ", "-").replace(" ", "-")
    if claim.better is not None:
        kind = "better" if claim.better else "worse"
        said = said or words(claim.verdict, claim.quantity)
    shown = claim.verdict in ("lower", "higher", "not separable")
    return Mark(kind, sign, said, difference_text(claim) if shown else "")


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

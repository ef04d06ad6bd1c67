"""What is compared by equality: the status of a cell, its shape, and the numbers that have no noise."""

from __future__ import annotations

from collections.abc import Sequence

from bench.experiments.places import Place
from bench.gate.contents import CellValues, Contents, Shape
from bench.gate.verdicts import Row, Verdict, judge_exact

EXACT = ("params", "params_nonzero", "macs_dense", "macs_effective", "bytes")
"""Gated for every gated cell. Other exact numbers (a second MAC counter, say) are for information."""


def status_row(row: Row, seeds: Sequence[int], base: CellValues, head: CellValues) -> tuple[Row, list[int]]:
    """Whether both sides have numbers at all, and under which seeds both do.

    A generator that collapsed, or a level that is out of reach now, is a regression whatever the numbers are.
    """
    before = {seed: base.status[base.seeds.index(seed)] for seed in seeds}
    after = {seed: head.status[head.seeds.index(seed)] for seed in seeds}
    lost = [seed for seed in seeds if before[seed] == "ok" and after[seed] != "ok"]
    won = [seed for seed in seeds if before[seed] != "ok" and after[seed] == "ok"]
    other = [seed for seed in seeds if before[seed] != after[seed] and seed not in (*lost, *won)]
    both = [seed for seed in seeds if before[seed] == after[seed] == "ok"]
    verdict: Verdict = "ok"
    reason = "the same status" if len(both) == len(seeds) else f"both {', '.join(sorted(set(after.values())))}"
    if lost:
        verdict, why = "regression", head.reason[head.seeds.index(lost[0])]
        reason = f"{after[lost[0]]} under {_seeds(lost)} now, ok before: {why}"
    elif other:
        verdict, reason = "changed", f"{before[other[0]]} before, {after[other[0]]} now, under {_seeds(other)}"
    elif won:
        verdict, reason = "improved", f"ok under {_seeds(won)} now, {before[won[0]]} before"
    return row.model_copy(update={"metric": "status", "verdict": verdict, "reason": reason}), both


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def shape_row(
    row: Row, seeds: Sequence[int], sides: tuple[Contents, Contents], values: tuple[CellValues, CellValues]
) -> Row:
    """Whether the networks have the same channels in the same layers; whether that is more or less, the counts say."""
    before, after = ({seed: shape_at(*side, seed) for seed in seeds} for side in zip(sides, values, strict=True))
    changed = [seed for seed in seeds if before[seed] != after[seed]]
    verdict: Verdict = "changed" if changed else "ok"
    reason = f"other channel widths under {_seeds(changed)}" if changed else "the same channel widths"
    return row.model_copy(update={"metric": "shape", "verdict": verdict, "reason": reason})


def shape_at(side: Contents, values: CellValues, seed: int) -> Shape | None:
    """The shape of a cell's network under a seed; None where it has none."""
    architecture = values.architecture[values.seeds.index(seed)]
    return side.shapes.get(architecture) if architecture else None


def exact_rows(
    row: Row,
    place: Place,
    seeds: Sequence[int],
    sides: tuple[Contents, Contents],
    values: tuple[CellValues, CellValues],
) -> list[Row]:
    """One row for each exact number that both sides have; one that only BASE has is missing."""
    found = []
    base, head = (side.terms.get(place.workload, {}) for side in sides)
    for name, terms in base.items():
        if terms.kind != "exact" or terms.direction == "none" or name not in values[0].values:
            continue
        this = row.model_copy(update={"metric": name, "kind": "exact", "gated": row.gated and name in EXACT})
        now = head.get(name)
        if now is None or name not in values[1].values:
            found.append(this.model_copy(update={"verdict": "missing", "reason": "HEAD has no such number"}))
        elif now != terms:
            reason = f"version {terms.version} in BASE, {now.version} in HEAD"
            found.append(this.model_copy(update={"verdict": "not comparable", "reason": reason}))
        else:
            before, after = ([x for x in side.at(seeds, name) if x is not None] for side in values)
            if len(before) != len(seeds) or len(after) != len(seeds):
                found.append(this.model_copy(update={"verdict": "missing", "reason": "a seed has no value"}))
            else:
                found.append(judge_exact(this, before, after, terms.direction == "lower"))
    return found

"""The test of one noisy number of one cell: the estimate that a report would make of the same two groups of cells.

Where both sides have kept what their images contribute, the variance of a difference is that of its images, seed by
seed (paired on common inputs, independent ones otherwise), and what the cells draw beside them enters by the rules of
`bench.statistics.components`. A gate compares few cells, and a verdict must not hang on which others changed: so what
a class of comparisons says together is not fitted here, it comes from calibration. Otherwise the spread over the seeds
is all there is, shrunk towards what calibration says of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.experiments.places import Place
from bench.gate.both import Both, Part, row_of
from bench.gate.contents import CellValues
from bench.gate.verdicts import Judgeable
from bench.statistics import Difference, Estimate, Prior, estimate_of, paired, welch
from bench.tables.evidence import UNKNOWN, Evidence, compared
from bench.tasks import quantity_of

Values = tuple[CellValues, CellValues]


def noisy_part(
    both: Both, place: Place, metric: str, seeds: Sequence[int], values: Values, *, gated: bool
) -> Part | None:
    """A tested number of one cell; None where neither side has it."""
    tables = [side.terms.get(place.workload, {}) for side in both.sides]
    names = [next((n for n in table if n.partition("[")[0] == metric), None) for table in tables]
    row = row_of(place, gated=gated).model_copy(update={"metric": names[0] or names[1] or metric, "kind": "stochastic"})
    if names == [None, None]:
        return row.model_copy(update={"verdict": "missing", "reason": "not measured on either side"}) if gated else None
    if None in names:
        verdict, side = ("new", "BASE") if names[0] is None else ("missing", "HEAD")
        return row.model_copy(update={"verdict": verdict, "reason": f"{side} has no such number"})
    first, last = (table[name] for table, name in zip(tables, names, strict=True) if name)
    if first != last or names[0] != names[1]:
        reason = f"BASE: {first.version}, {first.num_images} images; HEAD: {last.version}, {last.num_images} images"
        return row.model_copy(update={"verdict": "not comparable", "reason": reason})
    before, after = (
        [x for x in side.at(seeds, name) if x is not None and x > 0]
        for side, name in zip(values, names, strict=True)
        if name
    )
    if len(before) != len(seeds) or len(after) != len(seeds):
        return row.model_copy(update={"verdict": "missing", "reason": "a seed has no value, or none above 0"})
    row = row.model_copy(update={"base": sum(before) / len(before), "head": sum(after) / len(after), "n": len(seeds)})
    if before == after:
        return row.model_copy(update={"verdict": "ok", "reason": "identical under every seed", "change": 0.0})
    found, notes = _estimate(both, place, row.metric, seeds, (before, after), values)
    if found is None:
        reason = f"{len(seeds)} seed(s) say nothing of the spread; " + "; ".join(notes)
        return row.model_copy(update={"verdict": "inconclusive", "reason": reason})
    return Judgeable(row, found, both.gate.margin(metric), first.direction == "lower", tuple(notes))


def _estimate(
    both: Both,
    place: Place,
    name: str,
    seeds: Sequence[int],
    numbers: tuple[Sequence[float], Sequence[float]],
    values: Values,
) -> tuple[Estimate | None, list[str]]:
    """Of log HEAD - log BASE, and what has to be said of it."""
    metric = name.partition("[")[0]
    rule = both.gate.prior.get(metric)
    why_not = _why_not_paired(both, place, seeds, values)
    found = _by_images(both, place, name, seeds, numbers, values)
    notes: list[str] = []
    if found is not None and UNKNOWN not in found.varies:
        if not why_not:
            return estimate_of(found, rule.of(found) if rule else None), notes
        if found.known or found.calibrated:
            return estimate_of(found, rule.of(found) if rule else None), [f"not paired: {why_not}"]
    else:
        notes = [f"no contributions of its images in {_lacking(both, place, name, seeds)}: the spread of seeds alone"]
    before, after = ([math.log(x) for x in side] for side in numbers)
    if why_not:
        return welch(before, after), [f"not paired: {why_not}", *notes]
    if rule is None:
        notes = [*notes, "no prior in [gate]: only the spread of these seeds"]
    return paired(before, after, Prior(rule.sd**2, rule.degrees) if rule else None), notes


def _by_images(
    both: Both,
    place: Place,
    name: str,
    seeds: Sequence[int],
    numbers: tuple[Sequence[float], Sequence[float]],
    values: Values,
) -> Difference | None:
    """HEAD minus BASE as the tables of a report compare two groups of cells."""
    kept = {}
    groups: list[dict[int, dict[str, dict[str, Any]]]] = []
    for side, images, column, cells in zip(("BASE", "HEAD"), both.images, numbers, values, strict=True):
        rows = {}
        for seed, value in zip(seeds, column, strict=True):
            key = f"{side} {seed}"
            if (found := images(place, seed)) is not None:
                kept[key] = found
            row = {"metric": name, "value": value, "error": math.nan, "eval_key": key}
            rows[seed] = {name: row | {"varies": cells.varies, "seed": seed}}
        groups.append(rows)
    base, head = groups
    return compared(head, base, name, quantity_of(name.partition("[")[0]), Evidence(kept))


def _lacking(both: Both, place: Place, name: str, seeds: Sequence[int]) -> str:
    """Which side has no contributions to a number."""
    metric = name.partition("[")[0]
    wanted = name.replace(metric, quantity_of(metric).errors_of or metric, 1)
    absent = [
        side
        for side, images in zip(("BASE", "HEAD"), both.images, strict=True)
        if any((kept := images(place, seed)) is None or wanted not in kept.numbers for seed in seeds)
    ]
    return " and ".join(absent)


def _why_not_paired(both: Both, place: Place, seeds: Sequence[int], values: tuple[CellValues, CellValues]) -> str:
    """Why the differences of equal seeds are not differences of the networks alone; empty where they are."""
    if not both.same_numbers and any("train" in side.varies.split("+") for side in values):
        return "the networks were trained in different environments, and training does not repeat there"
    keys = [f"{place.workload} {seed}" for seed in seeds]
    inputs = [[side.inputs.get(key) for key in keys] for side in both.sides]
    if None not in inputs[0] and None not in inputs[1]:
        return "" if inputs[0] == inputs[1] else "the same seeds stand for other evaluation inputs"
    versions = {environment.torch for side in both.sides for environment in side.environments}
    return "" if len(versions) == 1 else "another torch may draw other evaluation inputs from the same seeds"

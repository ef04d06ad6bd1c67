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
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from bench.experiments.places import Place
from bench.gate.both import Both, Part, row_of
from bench.gate.contents import CellValues, Terms
from bench.gate.verdicts import Judgeable
from bench.statistics import Difference, Estimate, Prior, estimate_of, paired, welch
from bench.tables.evidence import UNKNOWN, Evidence, compared
from bench.tasks import GATED, Quantity, quantity_of

Values = tuple[CellValues, CellValues]

SIDES = ("BASE", "HEAD")
LACKING = "no contributions of its images"


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
    if names[0] != names[1] or not _comparable(quantity_of(metric), first, last):
        reason = f"BASE: {first.version}, {first.num_images} images; HEAD: {last.version}, {last.num_images} images"
        return row.model_copy(update={"verdict": "not comparable", "reason": reason})
    positive = quantity_of(metric).scale == "log"
    before, after = (
        [x for x in side.at(seeds, row.metric) if x is not None and (x > 0 or not positive)] for side in values
    )
    if len(before) != len(seeds) or len(after) != len(seeds):
        none = "a seed has no value, or none above 0" if positive else "a seed has no value"
        return row.model_copy(update={"verdict": "missing", "reason": none})
    row = row.model_copy(update={"base": fmean(before), "head": fmean(after), "n": len(seeds)})
    if before == after:
        return row.model_copy(update={"verdict": "ok", "reason": "identical under every seed", "change": 0.0})
    margin = both.gate.margin(metric) if metric in GATED else quantity_of(metric).margin or 0.0
    asked = Asked(both, place, row.metric, tuple(seeds), (tuple(before), tuple(after)), values, margin)
    found, unit, notes = _estimate(asked)
    if found is None:
        reason = f"{len(seeds)} seed(s) say nothing of the spread; " + "; ".join(notes)
        return row.model_copy(update={"verdict": "inconclusive", "reason": reason})
    return Judgeable(row, found, margin, first.direction == "lower", tuple(notes), unit)


def _comparable(quantity: Quantity, first: Terms, last: Terms) -> bool:
    """Whether two numbers are of one kind. N may differ where its bias has been taken off."""
    if quantity.at_n:
        last = last.model_copy(update={"num_images": first.num_images})
    return first == last


@dataclass(frozen=True)
class Asked:
    """The two groups of numbers that are compared."""

    both: Both
    place: Place
    name: str
    """As in a record, the judge in brackets."""
    seeds: tuple[int, ...]
    numbers: tuple[tuple[float, ...], tuple[float, ...]]
    cells: Values
    margin: float

    @property
    def quantity(self) -> Quantity:
        return quantity_of(self.name.partition("[")[0])

    @property
    def scaled(self) -> tuple[list[float], list[float]]:
        """Both groups where differences are taken."""
        base, head = ([self.quantity.on_scale(x) for x in side] for side in self.numbers)
        return base, head

    @property
    def on_values(self) -> bool:
        """Whether its images contribute to the value, though its spread over seeds is that of a logarithm."""
        source = quantity_of(self.quantity.errors_of or self.quantity.name)
        return self.quantity.scale == "log" and source.scale != "log"

    @property
    def unit(self) -> float | None:
        """What the margin is a share of: BASE's value; near the noise floor what makes it a tenth of that. None: it is
        one of logarithms."""
        if self.quantity.scale == "log":
            return None
        floors = {
            value
            for place, cell in self.both.base.places.items()
            for value in cell.values.get(self.named(f"{self.quantity.name}_floor"), [])
            if place.workload == self.place.workload and value is not None
        }
        return self.quantity.allowance(self.margin, fmean(self.numbers[0]), max(floors, default=math.nan)) / self.margin

    def named(self, other: str) -> str:
        """The number of another quantity by the same judge."""
        return self.name.replace(self.quantity.name, other, 1)


def _estimate(asked: Asked) -> tuple[Estimate | None, float | None, list[str]]:
    """Of HEAD - BASE; what its margin is a share of, None where it is on logarithms; and what has to be said of it."""
    rule = asked.both.gate.prior.get(asked.quantity.name)
    why_not = _why_not_paired(asked)
    notes = [f"not paired: {why_not}"] if why_not else []
    found = _by_images(asked)
    if found is not None and UNKNOWN not in found.varies and (found.known or found.calibrated or not why_not):
        prior = rule.of(found) if rule else None
        if asked.on_values and (found.known or found.calibrated):
            return *_on_values(asked, prior), notes
        return estimate_of(found, prior), asked.unit, notes
    if found is None or UNKNOWN in found.varies:
        notes.append(f"{LACKING} in {_lacking(asked)}: the spread of seeds alone")
    before, after = asked.scaled
    if why_not:
        return welch(before, after), asked.unit, notes
    if rule is None:
        notes.append("no prior in [gate]: only the spread of these seeds")
    prior = Prior(rule.sd**2, rule.degrees) if rule and asked.unit is None else None
    return paired(before, after, prior), asked.unit, notes


def _on_values(asked: Asked, prior: Prior | None) -> tuple[Estimate | None, float]:
    """By the variance of HEAD less (1 + margin) BASE, which is what is tested, in the unit of the number.

    The images contribute to the value itself. Near its floor they know a difference of two values well and each value
    badly, so that an error of the ratio, taken at the values found, would be too large.
    """
    base = fmean(asked.numbers[0])
    tested = _by_images(asked, 1 + asked.margin)
    found = estimate_of(tested, prior) if tested else None
    return (replace(found, difference=found.difference + asked.margin * base) if found else None), base


def _by_images(asked: Asked, times: float = 1.0) -> Difference | None:
    """HEAD minus ``times`` BASE as the tables of a report compare two groups of cells."""
    kept = {}
    groups: list[dict[int, dict[str, dict[str, Any]]]] = []
    names = dict.fromkeys((asked.name, asked.named(asked.quantity.at_n or asked.quantity.name)))
    for side, images, cells in zip(SIDES, asked.both.images, asked.cells, strict=True):
        rows = {}
        for seed in asked.seeds:
            key = f"{side} {seed}"
            if (one := images(asked.place, seed)) is not None:
                kept[key] = one
            shared = {"error": math.nan, "eval_key": key, "varies": cells.varies, "seed": seed}
            values = {name: cells.at([seed], name)[0] for name in names}
            rows[seed] = {n: shared | {"metric": n, "value": v} for n, v in values.items() if v is not None}
        groups.append(rows)
    base, head = groups
    quantity = asked.quantity if times == 1 else replace(asked.quantity, scale="share")
    found = compared(head, base, asked.name, quantity, Evidence(kept), times)
    return None if found is None else replace(found, ratio=False)


def _lacking(asked: Asked) -> str:
    """Which side has no contributions to a number."""
    wanted = asked.named(asked.quantity.errors_of or asked.quantity.name)
    return " and ".join(
        side
        for side, images in zip(SIDES, asked.both.images, strict=True)
        if any((kept := images(asked.place, seed)) is None or wanted not in kept.numbers for seed in asked.seeds)
    )


def _why_not_paired(asked: Asked) -> str:
    """Why the differences of equal seeds are not differences of the networks alone; empty where they are."""
    both = asked.both
    if not both.same_numbers and any("train" in side.varies.split("+") for side in asked.cells):
        return "the networks were trained in different environments, and training does not repeat there"
    keys = [f"{asked.place.workload} {seed}" for seed in asked.seeds]
    inputs = [[side.inputs.get(key) for key in keys] for side in both.sides]
    if None not in inputs[0] and None not in inputs[1]:
        return "" if inputs[0] == inputs[1] else "the same seeds stand for other evaluation inputs"
    versions = {environment.torch for side in both.sides for environment in side.environments}
    return "" if len(versions) == 1 else "another torch may draw other evaluation inputs from the same seeds"

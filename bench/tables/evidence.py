"""From rows of `tidy` and what the images contributed to one comparison: values, and the variance of each by its
source.

`bench.statistics` says what follows from them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.records.contributions import CellContributions
from bench.statistics import Contributions, Difference, Variance, difference, same
from bench.tasks import Quantity, Scale, known_quantity

Row = dict[str, Any]

UNKNOWN = "images"
"""Stands among what varies where nothing is known of the images: then all noise is what the seeds show."""

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Evidence:
    """What the images of a run's cells contribute to its numbers."""

    cells: Mapping[str, CellContributions] = field(default_factory=dict)
    """By ``eval_key``; a cell that is missing has only its own error."""

    def paired(self, one: Row, other: Row, scale: Scale, times: float = 1.0) -> Variance:
        """Variance of one cell's number less ``times`` another's from the images, on ``scale``; NaN: not known.

        On common inputs image by image; otherwise the images are independent.
        """
        mine, theirs = self._on(one, scale), self._on(other, scale, times)
        if mine is not None and theirs is not None:
            common = self.cells[one["eval_key"]].inputs == self.cells[other["eval_key"]].inputs
            pair = difference(mine, theirs) if common else None
            if pair is not None:
                return pair.parts
        first, second = self.own(one, scale), self.own(other, scale)
        return Variance(
            first.estimate + second.estimate * times**2,
            first.least + second.least * times**2,
        )

    def own(self, row: Row, scale: Scale) -> Variance:
        """Variance of a cell's number from its images, on ``scale``; NaN: not known."""
        mine = self._on(row, scale)
        if mine is not None:
            return mine.parts
        known = (float(row["error"]) * _slopes("linear", scale, float(row["value"]))) ** 2
        return Variance(known, known)

    def _on(self, row: Row, scale: Scale, times: float = 1.0) -> Contributions | None:
        """What a cell's images contribute to ``times`` its number on ``scale``, to first order at its own value; of a
        difference of logarithms that is each side's share of its value, whatever lies between the two values."""
        metric = str(row["metric"])
        name = _contributed(known_quantity(_family(metric)), metric)
        kept = self.cells.get(row["eval_key"])
        found = kept.numbers.get(name) if kept else None
        if found is None:
            return None
        source = known_quantity(_family(name))
        slope = times * _slopes(source.scale if source else "linear", scale, float(row["value"]))
        if slope == 1:
            return found
        if math.isnan(slope):
            return None
        return Contributions(found.count, found.linear * slope, found.noise * slope, found.pairs * slope)


def compared(
    mine: Mapping[int, Mapping[str, Row]],
    base: Mapping[int, Mapping[str, Row]],
    metric: str,
    quantity: Quantity,
    evidence: Evidence,
    times: float = 1.0,
) -> Difference | None:
    """The comparison of two groups of cells, seed by seed: ``mine`` minus ``base``; None without a common seed.

    Args:
        mine, base: seed -> metric -> row.
        times: what ``base`` counts for. A test of "larger by more than a share of ``base``" is one of ``mine`` less
            so many times ``base``: that share has an error too.
    """
    seeds = [seed for seed in mine if seed in base]
    pairs = [
        (mine[seed][metric], base[seed][metric]) for seed in seeds if metric in mine[seed] and metric in base[seed]
    ]
    pairs = [(a, b) for a, b in pairs if not math.isnan(a["value"] - b["value"])]
    if not pairs:
        return None
    values: list[float] = []
    images: list[Variance] = []
    for a, b in pairs:
        # What differs by one rounding is equal: a test of such differences would find noise of the arithmetic.
        equal = same(a["value"], b["value"]) and times == 1
        values.append(0.0 if equal else quantity.on_scale(a["value"]) - times * quantity.on_scale(b["value"]))
        images.append(Variance(0.0, 0.0) if equal else evidence.paired(a, b, quantity.scale, times))
    named = quantity.at_n and metric.replace(quantity.name, quantity.at_n, 1)
    positive = [(mine[a["seed"]].get(named, a)["value"], base[b["seed"]].get(named, b)["value"]) for a, b in pairs]
    return _difference(values, images, positive, quantity, [row for pair in pairs for row in pair])


def alone(rows: Sequence[Row], at_n: Sequence[float], evidence: Evidence) -> Difference:
    """The mean of one group of cells, in the unit of its number.

    Args:
        at_n: the values before the bias of N images is taken off, for a quantity that has it taken off.
    """
    values = [row["value"] for row in rows]
    positive = [(value, 1.0) for value in at_n]
    return _difference(values, [evidence.own(row, "linear") for row in rows], positive, None, rows)


def _difference(
    values: Sequence[float],
    errors: Sequence[Variance],
    positive: Sequence[tuple[float, float]],
    compared_on: Quantity | None,
    rows: Sequence[Row],
) -> Difference:
    varies = frozenset(name for row in rows for name in str(row["varies"]).replace("; ", "+").split("+") if name)
    varies -= {"eval"}
    images, least = [each.estimate for each in errors], statistics.fmean(each.least for each in errors)
    if any(map(math.isnan, images)):
        images, least, varies = [0.0] * len(values), 0.0, varies | {UNKNOWN}
    if compared_on is not None and compared_on.scale != "share":  # compared, and moderated, as it is on its scale
        return Difference(tuple(values), tuple(images), tuple(values), 1.0, varies, least)
    logs = tuple(math.log(a / b) for a, b in positive) if all(min(pair) > 0 for pair in positive) else None
    one, other = (statistics.fmean(side) for side in zip(*positive, strict=True))
    if compared_on is None or logs is None:
        return Difference(tuple(values), tuple(images), logs, abs(one), varies, least)
    return Difference(tuple(values), tuple(images), logs, logarithmic_mean(one, other), varies, least, ratio=True)


def logarithmic_mean(one: float, other: float) -> float:
    """``(a - b) / (log a - log b)`` of positive numbers; their mean where they are as good as equal."""
    if math.isclose(one, other, rel_tol=1e-6):
        return (one + other) / 2
    return (one - other) / math.log(one / other)


def over_checkpoints(parts: Sequence[Difference]) -> Difference:
    """One comparison over several trainings: the checkpoints are its units."""
    values = tuple(statistics.fmean(part.values) for part in parts)
    images = tuple(statistics.fmean(part.images) / len(part.images) for part in parts)
    logs = None
    if all(part.logs is not None for part in parts):
        logs = tuple(statistics.fmean(part.logs or ()) for part in parts)
    scale = statistics.fmean(part.scale for part in parts)
    least = statistics.fmean(part.least / len(part.images) for part in parts)
    return Difference(values, images, logs, scale, frozenset({CHECKPOINT}), least, ratio=logs is not None)


def _family(metric: str) -> str:
    return metric.partition("[")[0]


def _contributed(quantity: Quantity | None, metric: str) -> str:
    """The number whose contributions are those of ``metric``."""
    return metric.replace(quantity.name, quantity.errors_of, 1) if quantity and quantity.errors_of else metric


def _slopes(before: Scale, after: Scale, value: float) -> float:
    """What small differences on a scale are multiplied by to be ones on another, at ``value``."""
    if before == after or {before, after} <= {"linear", "share"}:
        return 1.0
    return _slope(after, value) / _slope(before, value) if _slope(before, value) else math.nan


def _slope(scale: Scale, value: float) -> float:
    if scale == "log":
        return 1 / value if value > 0 else math.nan
    if scale == "logit":
        return 1 / (value * (1 - value)) if 0 < value < 1 else math.nan
    return 1.0

"""The variances of comparisons with dense, as one run shows them, in the few numbers that another run is planned by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.statistics import Difference, Prior, fit_prior
from bench.statistics.components import CALIBRATE, DEGREES, FEWEST
from bench.tables.powering import FamilyPower, Telling

MILD = 2.0
"""A network whose value at N is at most so many times dense's is mildly pruned; the others are harshly."""


@dataclass(frozen=True)
class Fixed:
    """Of networks that are the same whatever the seed: variances of a paired difference from dense, from the images.

    On the scale of the number's differences, for one seed; None: no such network was seen.
    """

    mild: float | None
    """The median over mildly pruned networks (`MILD`)."""
    harsh: float | None
    """The median over the others."""
    calibrated: Prior | None
    """What calibration inputs multiply them by, where they are drawn (`bench.statistics.components`)."""


@dataclass(frozen=True)
class Drawn:
    """Of networks that pruning or training draws: the variance of one seed's log ratio to dense."""

    variance: float
    degrees: float
    images: float
    """The part of it that comes from the images."""


@dataclass(frozen=True)
class Variances:
    """Of one workload, at N images of each seed."""

    metric: str
    num_images: int
    dense: float
    """The mean of dense, in the unit of the number."""
    fixed: Fixed | None
    pruned: Drawn | None
    """Where pruning draws, and training does not."""
    trained: Drawn | None


def variances_of(families: Sequence[FamilyPower]) -> Variances | None:
    """What the comparisons of one workload with dense show; None where there is none, or several N.

    Args:
        families: of one workload and one number, against dense, about single networks.
    """
    members = [
        member
        for family in families
        for member in family.members
        if member.kind != "trainings" and member.spread is not None and member.images_known and _differ(member)
    ]
    counts = {family.num_images for family in families if family.num_images}
    dense = [family.dense for family in families if not math.isnan(family.dense)]
    if not members or len(counts) != 1 or not dense:
        return None
    drawn = [_difference(member) for member in members if member.kind == "drawn"]
    return Variances(
        families[0].metric,
        counts.pop(),
        statistics.fmean(dense),
        _fixed([member for member in members if member.kind == "fixed"]),
        _drawn([one for one in drawn if "train" not in one.varies]),
        _drawn([one for one in drawn if "train" in one.varies]),
    )


def _difference(member: Telling) -> Difference:
    assert member.comparison.difference is not None
    return member.comparison.difference


def _differ(member: Telling) -> bool:
    """Two equal networks say nothing of how others vary."""
    return any(_difference(member).values) and _difference(member).from_images > 0


def _fixed(members: Sequence[Telling]) -> Fixed | None:
    if not members:
        return None
    mild: list[float] = []
    harsh: list[float] = []
    for member in members:
        one, base = member.comparison.mine, member.comparison.base
        (mild if one.mean_at_n <= MILD * base.mean_at_n else harsh).append(_difference(member).from_images)
    ratios = [
        (statistics.variance(one.values) / one.from_images, len(one.values) - 1)
        for one in map(_difference, members)
        if CALIBRATE in one.varies and len(one.values) > 1
    ]
    return Fixed(_median(mild), _median(harsh), _prior(ratios))


def _drawn(members: Sequence[Difference]) -> Drawn | None:
    usable = [one for one in members if one.logs is not None and len(one.values) > 1]
    prior = _prior([(statistics.variance(one.logs or ()), len(one.values) - 1) for one in usable])
    if prior is None:
        return None
    images = statistics.median(one.from_images / one.scale**2 for one in usable)
    return Drawn(prior.variance, prior.degrees, min(images, prior.variance))


def _prior(seen: Sequence[tuple[float, int]]) -> Prior | None:
    positive = [(variance, degrees) for variance, degrees in seen if variance > 0]
    if len(positive) < FEWEST:
        return None
    variances, degrees = zip(*positive, strict=True)
    return fit_prior(variances, degrees, DEGREES)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def as_table(found: Variances) -> dict[str, Any]:
    """As JSON, with four digits: it is a rough guide."""
    return {
        "metric": found.metric,
        "num_images": found.num_images,
        "dense": _digits(found.dense),
        "fixed": found.fixed
        and {
            "mild": _digits(found.fixed.mild),
            "harsh": _digits(found.fixed.harsh),
            "calibrated": found.fixed.calibrated
            and {
                "ratio": _digits(found.fixed.calibrated.variance),
                "degrees": _digits(found.fixed.calibrated.degrees),
            },
        },
        "pruned": _drawn_table(found.pruned),
        "trained": _drawn_table(found.trained),
    }


def _drawn_table(found: Drawn | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {
        "variance": _digits(found.variance),
        "degrees": _digits(found.degrees),
        "images": _digits(found.images),
    }


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def from_table(table: dict[str, Any]) -> Variances:
    """What `as_table` made. Raises KeyError, TypeError, ValueError: it is not of that form."""
    fixed, ratio = table["fixed"], (table["fixed"] or {}).get("calibrated")
    return Variances(
        str(table["metric"]),
        int(table["num_images"]),
        float(table["dense"]),
        fixed and Fixed(fixed["mild"], fixed["harsh"], ratio and Prior(float(ratio["ratio"]), float(ratio["degrees"]))),
        *(
            each and Drawn(float(each["variance"]), float(each["degrees"]), float(each["images"]))
            for each in (table["pruned"], table["trained"])
        ),
    )

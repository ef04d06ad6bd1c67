"""What the comparisons of a run can tell, and from which difference on.

A difference is told where the first step of its family's procedure rejects (`bench.statistics.first_levels`): later
steps test at more, so what is found is a promise. Variances are those that the run's own verdicts rest on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.statistics import Design, Difference, Estimate, Spread, estimated, tellable
from bench.tables.best_claims import against_best
from bench.tables.claim import BEST, LEVEL, Claim, Key
from bench.tables.claims import Family, judged_families
from bench.tables.evidence import CHECKPOINT, UNKNOWN, Evidence
from bench.tables.groups import Comparison, Group, changed, compare, dense_of, groups_of
from bench.tasks.base import TINY

Kind = Literal["fixed", "drawn", "trainings"]
"""What a comparison is of. ``fixed``: networks that are the same whatever the seed, so only inputs (of evaluation, of
calibration) are drawn. ``drawn``: networks that pruning or training draws. ``trainings``: several checkpoints."""

KINDS: tuple[Kind, ...] = ("fixed", "drawn", "trainings")

OPEN = frozenset({"not separable", "too few seeds"})
"""The verdicts that more data might change."""
COMPARED_NOT = frozenset({"collapsed", "both collapsed", "other size"})
"""The verdicts of what no number of images or seeds makes comparable."""

FROM_INPUTS = frozenset({"calibrate", UNKNOWN})
"""Streams that leave the network as it is; `UNKNOWN` is no stream."""


@dataclass(frozen=True)
class Telling:
    """One comparison: what its error is made of, and from which true difference on it is told.

    ``spread`` and ``smallest_on_scale`` are on the scale of the estimate: the unit of the number, or logarithms.
    """

    claim: Claim
    comparison: Comparison
    kind: Kind
    level: float
    """One-sided, of the first step; NaN: nothing is known of its error."""
    spread: Spread | None
    """Of one unit; None: nothing is known of its error (one seed of a network that is drawn)."""
    design: Design
    images_known: bool

    @property
    def undecided(self) -> bool:
        return self.claim.verdict in OPEN

    @property
    def base(self) -> float | None:
        """What a ratio is of; None: the scale is linear."""
        quantity, difference = self.claim.quantity, self.comparison.difference
        if quantity.scale == "log":
            return max(self.comparison.base.mean, TINY)
        return self.comparison.base.mean_at_n if difference is not None and difference.on_logs else None

    @property
    def smallest_on_scale(self) -> float:
        """The smallest true difference that is told with probability .8; infinite: none is."""
        if self.spread is None:
            return math.inf
        return tellable(self.design.error(self.spread), self.design.degrees(self.spread), self.level)

    @property
    def smallest(self) -> float:
        """The same, in the unit of the number."""
        found = self.smallest_on_scale
        if self.base is None:
            return found
        return math.inf if found > 700 else self.base * math.expm1(found)

    @property
    def ratio(self) -> float | None:
        """The same as a ratio of the values at N, where ratios are what is compared; None: they are not."""
        if self.base is None:
            return None
        return math.inf if self.smallest_on_scale > 700 else math.exp(self.smallest_on_scale)

    def on_scale(self, amount: float) -> float:
        """A difference in the unit of the number, positive, on the scale of the estimate."""
        return amount if self.base is None else math.log1p(amount / self.base)


@dataclass(frozen=True)
class FamilyPower:
    """What one family of comparisons can tell."""

    workload: str
    checkpoint: str
    recovery: str
    reference: str
    metric: str
    title: str
    """What judges, in words."""
    dense: float
    """The mean of dense, in the unit of the number; NaN: there is none."""
    num_images: int
    members: tuple[Telling, ...]

    def of(self, kind: Kind) -> tuple[Telling, ...]:
        """The members of one kind that are compared."""
        return tuple(one for one in self.members if one.kind == kind and one.claim.verdict not in COMPARED_NOT)


def powers_of(frame: pd.DataFrame, reference: str, evidence: Evidence | None = None) -> tuple[FamilyPower, ...]:
    """What every family of comparisons with ``reference`` (a strategy, dense, or ``best``) can tell.

    Args:
        frame: of `bench.tables.tidy`.
    """
    groups = groups_of(frame[frame["status"].isin(["ok", "collapsed"])])
    known = evidence or Evidence()
    families = _of_best(groups, known) if reference == BEST else judged_families(groups, reference, known)
    within: dict[Key, list[Telling]] = {}
    found = []
    for family in sorted(families, key=_of_trainings):  # what varies within a training is asked for by those of several
        members = []
        for one, estimate, level, claim in zip(
            family.comparisons, family.estimates, family.levels, family.claims, strict=True
        ):
            told = _telling(one, estimate, level, claim, within.get(changed(one.mine.key, checkpoint=""), ()))
            members.append(told)
            if told.kind != "trainings":
                within.setdefault(changed(one.mine.key, checkpoint=""), []).append(told)
        found.append(_family(members, reference, groups))
    return tuple(sorted(found, key=lambda one: (one.workload, one.recovery, one.checkpoint)))


def _telling(
    one: Comparison, estimate: Estimate | None, level: float, claim: Claim, parts: Sequence[Telling]
) -> Telling:
    difference = one.difference
    varies = difference.varies if difference is not None else _streams(one)
    images_known = UNKNOWN not in varies
    if CHECKPOINT in varies:
        spread, design = (
            _of_checkpoints(difference, estimate, parts) if difference and estimate else (None, Design(seeds=1))
        )
        return Telling(claim, one, "trainings", level, spread, design, images_known)
    kind: Kind = "fixed" if varies <= FROM_INPUTS else "drawn"
    if difference is None or estimate is None:
        return Telling(claim, one, kind, math.nan, None, Design(seeds=max(1, claim.n)), images_known)
    n, unit = len(difference.values), _unit(difference)
    images = min(difference.from_images * unit, estimate.error**2 * n)
    spread = Spread(images=images, seeds=_beyond(estimate.error**2 * n, images))
    return Telling(claim, one, kind, level, spread, Design(n, prior=estimate.degrees - (n - 1)), images_known)


def _of_checkpoints(difference: Difference, estimate: Estimate, parts: Sequence[Telling]) -> tuple[Spread, Design]:
    """The variance between checkpoints is what is left of theirs; it is never nothing, as its degrees of freedom are
    those of the checkpoints."""
    count, unit = len(difference.values), _unit(difference)
    known = [part for part in parts if part.spread is not None and part.comparison.difference is not None]
    seeds = max(1, round(_mean([float(part.design.seeds) for part in known]) if known else 1))
    images = difference.from_images * unit * seeds
    own = [
        part.spread.seeds / _unit(part.comparison.difference) * unit
        for part in known
        if part.spread is not None and part.comparison.difference is not None
    ]
    whole = estimate.error**2 * count
    of_seeds = _mean(own) if own else 0.0
    left = max(whole - (of_seeds + images) / seeds, 1e-9 * whole)
    within = min(1.0, whole / ((of_seeds + images) / seeds)) if of_seeds + images else 1.0
    spread = Spread(images * within, of_seeds * within, left)
    return spread, Design(seeds, checkpoints=count, prior=estimate.degrees - (count - 1))


def _unit(difference: Difference) -> float:
    """From a variance of values to one on the scale of the estimate."""
    return 1 / difference.scale**2 if difference.on_logs else 1.0


def _beyond(whole: float, images: float) -> float:
    """What is left of a variance; exactly 0 where that is a rounding."""
    return 0.0 if math.isclose(whole, images, rel_tol=1e-9) else max(0.0, whole - images)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _streams(one: Comparison) -> frozenset[str]:
    """The streams beside ``eval`` that the cells of a comparison depend on, where there is no difference to say so."""
    rows = (next(iter(rows.values())) for side in (one.mine, one.base) for rows in side.cells.values())
    words = {word for row in rows for word in str(row["varies"]).replace("; ", "+").split("+") if word}
    return frozenset(words - {"eval"})


def _family(members: Sequence[Telling], reference: str, groups: Mapping[Key, Group]) -> FamilyPower:
    claim = members[0].claim
    same = [
        dense
        for key, group in groups.items()
        if (key[0], key[5]) == (claim.workload, claim.recovery)
        and (members[0].kind == "trainings" or key[1] == claim.checkpoint)
        and (dense := dense_of(group.key, groups)) is not None
    ]
    means = [mean for mean in {dense.key: dense.mean for dense in same}.values() if not math.isnan(mean)]
    counts = {
        int(rows[claim.metric]["num_images"])
        for one in members
        for rows in one.comparison.mine.cells.values()
        if claim.metric in rows and not math.isnan(rows[claim.metric]["num_images"])
    }
    return FamilyPower(
        claim.workload,
        claim.checkpoint,
        claim.recovery,
        reference,
        claim.metric,
        claim.quantity.title,
        _mean(means) if means else math.nan,
        min(counts, default=0),
        tuple(members),
    )


def _of_trainings(family: Family) -> bool:
    return any(one.difference is not None and CHECKPOINT in one.difference.varies for one in family.comparisons)


def _of_best(groups: dict[Key, Group], evidence: Evidence) -> list[Family]:
    """Each row beside the one that its claim names, at the levels of `bench.statistics.among_best`.

    Without the row with the best mean of each level: its pair is that of the second.
    """
    claims: dict[Key, list[Claim]] = {}
    for claim in against_best(groups, evidence):
        if claim.verdict != "not separable" or claim.quantity.sign * claim.difference >= 0:
            claims.setdefault((claim.workload, claim.checkpoint, claim.recovery), []).append(claim)
    found = []
    for members in claims.values():
        pairs = [
            compare(groups[claim.row], groups[changed(claim.row, strategy=claim.other)], evidence, same_size=True)
            for claim in members
        ]
        places = [changed(claim.row, strategy="") for claim in members]
        others = Counter(place for place, pair in zip(places, pairs, strict=True) if not pair.obstacle)
        made = [pair.difference for pair in pairs if pair.difference is not None and not pair.obstacle]
        left = iter(estimated(made))
        estimates = [next(left) if pair.difference is not None and not pair.obstacle else None for pair in pairs]
        levels = [
            LEVEL / len(set(places)) / others[place] if estimate is not None else math.nan
            for place, estimate in zip(places, estimates, strict=True)
        ]
        found.append(Family(tuple(pairs), tuple(estimates), tuple(levels), tuple(members)))
    return found

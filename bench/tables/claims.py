"""What the numbers allow to be said, and nothing more.

There are two families of claims for each workload, checkpoint and recovery, each with an error of its own: every
strategy against the reference, and every pruned network against dense. Another workload in a run changes none of them.
Page, Markdown, paper tables and Python take their verdicts from here, and the intervals beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench.statistics import Estimate, Simultaneous, above, below, between, estimated, first_levels
from bench.tables.best_claims import against_best
from bench.tables.claim import ALL, BEST, LEAST_CHECKPOINTS, LEVEL, Claim, Claims, Key, Verdict, in_order
from bench.tables.evidence import Evidence, over_checkpoints
from bench.tables.groups import (
    Cells,
    Comparison,
    Group,
    allowed_on_scale,
    changed,
    claim_about,
    compare,
    dense_of,
    groups_of,
)
from bench.tables.naming import DENSE


@dataclass(frozen=True)
class Family:
    """The comparisons with one reference that share an error, with what each of them was tested by; in one order."""

    comparisons: tuple[Comparison, ...]
    estimates: tuple[Estimate | None, ...]
    levels: tuple[float, ...]
    """The one-sided level that each is tested at whatever the others are; NaN: it is not made."""
    claims: tuple[Claim, ...]


def claims_of(frame: pd.DataFrame, reference: str, evidence: Evidence | None = None) -> Claims:
    """Every claim that the cells with a network (``ok`` or collapsed) of a run give rise to."""
    usable = frame[frame["status"].isin(["ok", "collapsed"])]
    groups, known = groups_of(usable), evidence or Evidence()
    return Claims(
        reference,
        tuple(_against_reference(groups, reference, known)),
        tuple(_against_dense(groups, known)),
    )


def against_reference(frame: pd.DataFrame, reference: str, evidence: Evidence | None = None) -> list[Claim]:
    """Every strategy against ``reference`` (a strategy, dense, or ``best``: the best of each level) at the same
    workload, checkpoint, target, recovery and requested level; one family for each workload, checkpoint and recovery,
    strategies first. Workloads that nothing judges have no claim.
    """
    return _against_reference(groups_of(frame), reference, evidence or Evidence())


def against_dense(frame: pd.DataFrame, evidence: Evidence | None = None) -> list[Claim]:
    """Every row against dense of the same recovery, without a finish: what it loses at most, whether that is within the
    margin (``holds``), whether it is shown to lose anything (``worse``). Half of the family's error is for each.
    """
    return _against_dense(groups_of(frame), evidence or Evidence())


def _against_reference(groups: dict[Key, Group], reference: str, evidence: Evidence) -> list[Claim]:
    if reference == BEST:
        return against_best(groups, evidence)
    found = _with_reference(groups, reference, evidence)
    return in_order(claim for family in _families(found) for claim in _judged_by_reference(family))


def judged_families(groups: dict[Key, Group], reference: str, evidence: Evidence) -> list[Family]:
    """The families of `against_reference`, whole; ``reference`` is a strategy or dense."""
    families = _families(_with_reference(groups, reference, evidence))
    return [
        Family(tuple(one), tuple(_estimates(one)), tuple(_first_levels(one)), tuple(_judged_by_reference(one)))
        for one in families
    ]


def _with_reference(groups: dict[Key, Group], reference: str, evidence: Evidence) -> list[Comparison]:
    found = []
    for key, group in groups.items():
        if key[2] == reference != DENSE or key[2] == DENSE != reference:
            continue
        if reference == DENSE:
            other = dense_of(key, groups)
        else:
            other = groups.get(changed(key, strategy=reference)) if not math.isnan(group.first["requested"]) else None
        if other is not None:
            found.append(compare(group, other, evidence, same_size=reference != DENSE))
    return found


def _against_dense(groups: dict[Key, Group], evidence: Evidence) -> list[Claim]:
    found = []
    for key, group in groups.items():
        dense = dense_of(key, groups)
        if dense is not None:
            found.append(compare(group, dense, evidence, same_size=False))
    return in_order(claim for family in _families(found) for claim in _judged_by_dense(family))


def _families(comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """Those that share an error; where a workload has several trainings, those about all of them besides."""
    every = [*comparisons, *_over_trainings(comparisons)]
    found: dict[Key, list[Comparison]] = {}
    for one in every:
        workload, checkpoint, _, _, _, recovery = one.mine.key
        found.setdefault((workload, checkpoint, recovery), []).append(one)
    return list(found.values())


def _over_trainings(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons that every checkpoint of a workload made, with the checkpoints as units."""
    found: dict[Key, list[Comparison]] = {}
    for one in comparisons:
        found.setdefault(changed(one.mine.key, checkpoint=""), []).append(one)
    count = {key[0]: len(members) for key, members in found.items()}
    count = {name: max(len(m) for key, m in found.items() if key[0] == name) for name in count}
    result = []
    for key, members in found.items():
        if count[key[0]] < LEAST_CHECKPOINTS:
            continue
        name = ALL.format(count=count[key[0]])
        parts = [one.difference for one in members if one.difference is not None and not one.obstacle]
        obstacle: Verdict | None = None if len(parts) == len(members) == count[key[0]] else "collapsed"
        mine, base = (
            replace(side, key=changed(side.key, checkpoint=name), cells=_joined(sides))
            for side, sides in (
                (members[0].mine, [m.mine for m in members]),
                (members[0].base, [m.base for m in members]),
            )
        )
        result.append(Comparison(mine, base, over_checkpoints(parts) if not obstacle else None, obstacle))
    return result


def _joined(groups: Sequence[Group]) -> Cells:
    """The cells of several checkpoints, numbered on: only their means are asked for."""
    return dict(enumerate(rows for group in groups for rows in group.cells.values()))


def _estimates(family: Sequence[Comparison]) -> list[Any]:
    made = [one.difference for one in family if one.difference is not None and not one.obstacle]
    found = iter(estimated(made))
    return [next(found) if one.difference is not None and not one.obstacle else None for one in family]


def _names(family: Sequence[Comparison]) -> list[Key]:
    """The strategies, at each target: what a family is grouped by."""
    return [(one.mine.key[2], one.mine.key[3]) for one in family]


def _first_levels(family: Sequence[Comparison]) -> list[float]:
    """`first_levels` of the comparisons that are made; NaN: this one is not."""
    made = [estimate is not None for estimate in _estimates(family)]
    levels = iter(first_levels([name for name, is_made in zip(_names(family), made, strict=True) if is_made], LEVEL))
    return [next(levels) if is_made else math.nan for is_made in made]


def _judged_by_reference(family: Sequence[Comparison]) -> list[Claim]:
    results = between(_names(family), _estimates(family), error=LEVEL)
    claims = []
    for one, result in zip(family, results, strict=True):
        verdict: Verdict = one.obstacle or ("too few seeds" if result is None else "not separable")
        if result is not None:
            if _identical(one):
                verdict = "identical"
            elif result.shown:
                verdict = "lower" if result.shown < 0 else "higher"
        claims.append(claim_about(one, result, math.nan, verdict))
    return claims


def _judged_by_dense(family: Sequence[Comparison]) -> list[Claim]:
    """Turned so that positive is worse: below the margin it holds, above 0 it is worse."""
    sign, names = family[0].mine.judge.quantity.sign, _names(family)
    estimates = [found if found is None or sign > 0 else found.negative() for found in _estimates(family)]
    # Each margin is a null hypothesis of its own, so the estimates are moved by it; without a margin there is a bound.
    margins = [allowed_on_scale(one) for one in family]
    moved = [
        found and replace(found, difference=found.difference - (0.0 if math.isnan(most) else most))
        for found, most in zip(estimates, margins, strict=True)
    ]
    losses, bounds = above(names, estimates, error=LEVEL / 2), below(names, moved, error=LEVEL / 2)
    claims = []
    for one, most, loss, bound in zip(family, margins, losses, bounds, strict=True):
        verdict: Verdict = one.obstacle or ("too few seeds" if loss is None else "not separable")
        result, high = None, math.nan
        if loss is not None and bound is not None:
            high = bound.high + (0.0 if math.isnan(most) else most)
            held = bool(bound.shown) and not math.isnan(most)
            p = bound.p if held else loss.p
            result = Simultaneous(loss.low, high, p, 0) if sign > 0 else Simultaneous(-high, -loss.low, p, 0)
            if _identical(one):
                verdict, high = "identical", 0.0
            elif held:
                verdict = "holds"
            elif loss.shown:
                verdict = "worse"
        claims.append(claim_about(one, result, high, verdict))
    return claims


def _identical(one: Comparison) -> bool:
    return one.difference is not None and not any(one.difference.values) and not any(one.difference.images)

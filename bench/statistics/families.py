"""A family of comparisons with one error: strategies first, then their levels; intervals that say the same.

The family's error is dealt evenly to the groups (strategies) that still have a member (level) that is not rejected,
and a group that is done leaves its share to the others: the inheritance procedure for a tree (Goeman & Finos 2012, "The
inheritance procedure: multiple testing of tree-structured hypotheses"). Within its share a group is first tested as a
whole by Simes' test (1986), and its members by the closed test made of Simes' tests (Hommel 1988), which rejects all
that Simes' gate followed by Holm's procedure with Shaffer's improvement (1986) does, and sometimes more.

*Why the error holds.* Let K be the groups with a true hypothesis and T_g the true ones of group g. With probability at
least 1 - error no Simes test of a T_g at error / K rejects (Bonferroni over the K; Simes' inequality within, which
holds for one-sided tests that depend positively: Sarkar 1998). Then nothing true is ever rejected: until the first such
rejection each of the K groups has a member left, so a share is at most error / K, and to reject a member of T_g the
closed test must reject T_g.

*Intervals.* The bounds that belong to such a procedure end at the null hypothesis for every comparison that it rejects
(Strassburger & Bretz 2008, Guilbaud 2008): to have a bound beyond it as well, some of the error must be kept back for
these bounds. `KEPT` of the error is; the procedure works with the rest. (A bound of Bonferroni's beside verdicts that
are stepwise at the full error would be wrong together in up to twice that error.)
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from bench.statistics.estimates import Estimate

KEPT = 0.2
"""Share of the error that is kept for bounds beyond the null hypothesis."""


@dataclass(frozen=True)
class Simultaneous:
    """What a family allows to be said of one of its comparisons.

    The interval is open: where ``low`` or ``high`` is the null hypothesis, that is excluded, and only that is shown.

    Attributes:
        low: -inf for an upper bound alone.
        high: inf for a lower bound alone.
        p: the p-value corrected within the family; below its error exactly where the null hypothesis is excluded.
        shown: 1: above the null hypothesis; -1: below it; 0: not separable from it.
    """

    low: float
    high: float
    p: float
    shown: int


def simes(p_values: Sequence[float]) -> float:
    """P-value of "all these hypotheses are true" (Simes 1986): the smallest of n p_(k) / k."""
    n = len(p_values)
    return min(n * p / k for k, p in enumerate(sorted(p_values), 1))


def hommel(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of the closed test of which each part is a Simes test (Hommel 1988), in the order given.

    A hypothesis is rejected where every set that it is in is. Of the sets of one size, the one that is rejected last
    holds, beside the hypothesis itself, the largest p-values.
    """
    n = len(p_values)
    order = sorted(range(n), key=lambda i: p_values[i])
    ordered = [p_values[i] for i in order]
    largest = [simes(ordered[n - size :]) for size in range(1, n + 1)]
    found = [0.0] * n
    for rank, index in enumerate(order):
        p = p_values[index]
        without = (simes([p, *ordered[n - size + 1 :]]) for size in range(1, n - rank))  # not among the `size` largest
        found[index] = max((*without, *largest[n - rank - 1 :]))
    return found


def adjusted(groups: Sequence[Hashable], p_values: Sequence[float]) -> list[float]:
    """P-values corrected for the family: each is the least error at which its hypothesis is rejected.

    Args:
        groups: of each hypothesis the group it is in (the strategy), hashable.
        p_values: NaN is a comparison that was not made: it counts for nothing.

    Returns:
        In the order given; NaN stays NaN. One group with one member, or groups of one member: Holm's.
    """
    members = _members(groups, p_values)
    within = {
        group: dict(zip(indices, hommel([p_values[i] for i in indices]), strict=True))
        for group, indices in members.items()
    }
    # The j-th group is done at the least error at which all before it are, and it is itself within its share.
    done = [0.0]
    for rank, last in enumerate(sorted(max(own.values()) for own in within.values())):
        done.append(max(done[-1], (len(within) - rank) * last))
    found = [math.nan] * len(p_values)
    for own in within.values():
        for index, p in own.items():
            found[index] = min(
                1.0, min(max(before, (len(within) - rank) * p) for rank, before in enumerate(done[: len(within)]))
            )
    return found


def above(
    groups: Sequence[Hashable], estimates: Sequence[Estimate | None], null: float = 0.0, error: float = 0.05
) -> list[Simultaneous | None]:
    """Which true differences are shown to be above ``null``, with lower bounds that hold together.

    With probability at least 1 - ``error`` every verdict and every bound of the family is right.

    Args:
        groups: of each comparison the group it is in.
        estimates: None is a comparison that could not be made.
        null: what a difference must exceed.
        error: one-sided, of the whole family.
    """
    p_values = [math.nan if estimate is None else estimate.p_above(null) for estimate in estimates]
    members = _members(groups, p_values)
    if not members:
        return [None] * len(estimates)
    tested = _tested(members)
    p = [value if math.isnan(value) else min(1.0, value / tested) for value in adjusted(groups, p_values)]
    rejected = [value < error for value in p]
    left = sum(not all(rejected[i] for i in indices) for indices in members.values())
    found: list[Simultaneous | None] = [None] * len(estimates)
    for indices in members.values():
        for i in indices:
            estimate = estimates[i]
            if estimate is None:
                continue
            if not rejected[i]:
                # A hypothesis that stays has the share that its group ends with.
                low = min(null, estimate.lower(error * tested / (left * len(indices))))
            else:
                # With all rejected nothing is left to be tested: no hypothesis was true, or that error is made already.
                share = error * (KEPT if left else 1.0)
                low = max(null, estimate.lower(share / (len(members) * len(indices))))
            found[i] = Simultaneous(low, math.inf, p[i], int(rejected[i]))
    return found


def below(
    groups: Sequence[Hashable], estimates: Sequence[Estimate | None], null: float = 0.0, error: float = 0.05
) -> list[Simultaneous | None]:
    """Which true differences are shown to be below ``null`` ("loses less than"), with upper bounds ("at most").

    As `above`, the other way round: a comparison shown to be below the null hypothesis has a bound of at most it.
    """
    found = above(groups, [estimate and estimate.negative() for estimate in estimates], -null, error)
    return [one and Simultaneous(-math.inf, 0.0 - one.low, one.p, -one.shown) for one in found]


def between(
    groups: Sequence[Hashable], estimates: Sequence[Estimate | None], null: float = 0.0, error: float = 0.05
) -> list[Simultaneous | None]:
    """Which true differences are shown to differ from ``null``, and in which direction, with two-sided intervals.

    Two one-sided families at half the error each, so a wrong direction is an error as well.
    """
    ups, downs = (side(groups, estimates, null, error / 2) for side in (above, below))
    return [
        up and down and Simultaneous(up.low, down.high, min(1.0, 2 * min(up.p, down.p)), up.shown + down.shown)
        for up, down in zip(ups, downs, strict=True)
    ]


def first_levels(groups: Sequence[Hashable], error: float = 0.05) -> list[float]:
    """The one-sided level at which `between` rejects each comparison whatever the others are; later steps have more.

    With `above` and `below` it is twice that.
    """
    members = _members(groups, [0.0] * len(groups))
    share = error / 2 * _tested(members) / max(len(members), 1)
    return [share / len(members[group]) for group in groups]


def _tested(members: Mapping[Hashable, Sequence[int]]) -> float:
    """The share of the error that hypotheses are tested with.

    Bounds beyond the null hypothesis are only at risk for hypotheses that are not true. Where a true one is left, the
    others have at most all levels but its own; so one comparison alone is tested with all of the error.
    """
    least = min((1 / (len(members) * len(indices)) for indices in members.values()), default=1.0)
    return 1 - KEPT * (1 - least)


def _members(groups: Sequence[Hashable], p_values: Sequence[float]) -> dict[Hashable, list[int]]:
    """Group -> the indices of its comparisons that were made."""
    found: dict[Hashable, list[int]] = {}
    for index, (group, p) in enumerate(zip(groups, p_values, strict=True)):
        if not math.isnan(p):
            found.setdefault(group, []).append(index)
    return found

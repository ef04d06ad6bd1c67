"""A claim: one comparison, what it shows, and the interval that says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.naming import row_order
from bench.tasks import Quantity

LEVEL = 0.05
"""Error of all claims of one family together: that any of them is wrong."""
SAME_SIZE = 0.02
"""Achieved sparsities that differ by more are not compared as if they were one level."""
LEAST_CHECKPOINTS = 3
"""From so many trainings on a claim is made about trainings, not about one network."""
REFERENCE = "l1-weight-global"
"""The strategy that others are compared with where the experiment names none."""
BEST = "best"
"""The reference that stands for the best of each level."""
ALL = "all {count}"
"""The checkpoint of a claim about trainings."""

Verdict = Literal[
    "lower", "higher", "holds", "worse", "not separable", "identical", "collapsed", "worse: collapsed",
    "better: the other collapsed", "both collapsed", "too few seeds", "other size",
]  # fmt: skip
"""`lower, higher`: shown to differ from the reference. `holds`: shown to lose at most the margin against dense (as good
as dense within it). `worse`: shown to be worse than dense. `not separable`: neither; that says nothing of being equal.
`collapsed`: some of the seeds, so nothing is compared."""
TESTED: frozenset[Verdict] = frozenset({"lower", "higher", "holds", "worse", "not separable", "identical"})
"""The verdicts of comparisons that were made."""
Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Claim:
    """One comparison of what judges a workload: this row minus the other, which is the reference or dense."""

    workload: str
    checkpoint: str
    strategy: str
    target: str
    level: str
    recovery: str
    requested: float
    achieved: float
    metric: str
    quantity: Quantity
    other: str
    """The strategy that it is compared with."""
    n: int
    """Over so many seeds; of a claim about trainings, checkpoints."""
    difference: float
    """The mean, in the unit of the metric; NaN where nothing was compared."""
    low: float
    high: float
    """The interval that holds together with all others of the family; it is open, and excludes 0 exactly where a
    difference is shown."""
    bound: float
    """Against dense: it loses at most so much, with all others of the family; NaN against the reference."""
    allowed: float
    """Against dense: the margin, in the unit of the metric; NaN where there is none."""
    adjusted: float
    """P-value corrected within the family (of ``holds``: that of losing less than the margin); NaN: not compared."""
    verdict: Verdict
    varies: str

    @property
    def row(self) -> Key:
        """The row of the tables that it is about: its values of `GROUP_COLUMNS`."""
        return tuple(getattr(self, name) for name in GROUP_COLUMNS)

    @property
    def better(self) -> bool | None:
        """Whether the row is shown to be better than the reference; None: it is not shown to be either."""
        if self.verdict in ("worse", "worse: collapsed"):
            return False
        if self.verdict == "better: the other collapsed":
            return True
        return self.verdict == self.quantity.direction if self.verdict in ("lower", "higher") else None


CLAIM_COLUMNS = [
    "of", *GROUP_COLUMNS, "requested", "achieved", "other", "metric", "n", "difference", "low", "high", "bound", "allowed",
    "p", "verdict", "varies",
]  # fmt: skip


@dataclass(frozen=True)
class Claims:
    """All claims of a report, each made once."""

    reference: str
    """The strategy that the others are compared with."""
    against_reference: tuple[Claim, ...]
    against_dense: tuple[Claim, ...]

    def of_workloads(self, workloads: Sequence[str]) -> Claims:
        """Those about these workloads."""
        mine = [
            [one for one in some if one.workload in workloads] for some in (self.against_reference, self.against_dense)
        ]
        return Claims(self.reference, tuple(mine[0]), tuple(mine[1]))

    def table(self) -> pd.DataFrame:
        """One row for each claim: ``of`` (``reference`` or ``dense``), the row that it is about, ``other`` (what it is
        compared with), ``metric, n, difference, low, high, bound, allowed, p`` and the ``verdict``, see `Claim`."""
        rows = [
            {"of": of}
            | {name: getattr(one, name) for name in CLAIM_COLUMNS if name not in ("of", "p")}
            | {"p": one.adjusted}
            for of, some in (("reference", self.against_reference), ("dense", self.against_dense))
            for one in some
        ]
        return pd.DataFrame(rows, columns=CLAIM_COLUMNS)

    def verdicts(self) -> dict[Key, Claim]:
        """The comparison with the reference of each row that has one."""
        return {claim.row: claim for claim in self.against_reference}


def by_place(claims: Iterable[Claim]) -> dict[tuple[str, str, str, str], list[Claim]]:
    """Claims of one workload, checkpoint, recovery and target together."""
    found: dict[tuple[str, str, str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.workload, claim.checkpoint, claim.recovery, claim.target), []).append(claim)
    return found


def about_trainings(claim: Claim) -> bool:
    """Whether a claim is about several trainings, not about one network."""
    return claim.checkpoint == ALL.format(count=claim.n) and claim.n >= LEAST_CHECKPOINTS


def in_order(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=_order)


def _order(claim: Claim) -> tuple[object, ...]:
    return row_order(
        claim.workload, claim.checkpoint, claim.recovery, claim.target, claim.strategy, claim.requested, claim.level
    )

"""Which rows cannot be told from the best one.

Hsu 1984, "Constrained simultaneous confidence intervals for multiple comparisons with the best".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.statistics.estimates import Estimate


@dataclass(frozen=True)
class Standing:
    """Whether a row may be the best one, and which rows are shown to be better, the surest first."""

    among_best: bool
    beaten_by: tuple[int, ...]


def among_best(rows: int, compare: Callable[[int, int], Estimate | None], error: float = 0.05) -> tuple[Standing, ...]:
    """The rows that may be the best one: the truly best is among them with probability at least 1 - ``error``.

    A row is out where some other is shown to be better at ``error`` / (rows - 1), one-sided. To lose the best row
    one of rows - 1 true hypotheses ("the other is not better") must be rejected, so no more need be corrected for,
    however the estimates depend on each other. A row that was compared with none stays in: nothing speaks against it.

    Args:
        rows: how many there are; one alone is the best.
        compare: (i, j) -> the estimate of row i minus row j, larger is worse; None where they cannot be compared.
        error: of the whole answer.
    """
    level = error / max(rows - 1, 1)
    found = []
    for i in range(rows):
        against = sorted((_p_worse(compare(i, j)), j) for j in range(rows) if j != i)
        better = tuple(j for p, j in against if p < level)
        found.append(Standing(not better, better))
    return tuple(found)


def _p_worse(estimate: Estimate | None) -> float:
    """P-value of "is not worse"; 1 where nothing is known."""
    p = math.nan if estimate is None else estimate.p_above(0.0)
    return 1.0 if math.isnan(p) else p

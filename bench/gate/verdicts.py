"""A verdict for each thing that is compared, with its reason in words; and what they mean for the exit code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.statistics import Estimate, holm_levels

Verdict = Literal[
    "ok", "regression", "improved", "changed", "inconclusive", "invalid", "not comparable", "missing", "new"
]
Kind = Literal["cell", "exact", "stochastic", "timing"]
"""``cell``: the cell as a whole (its status, its shape, that it is there at all)."""

PER_ROW = 0.05
"""`ok` says that HEAD is not worse by the margin, wrong in at most so many of the rows that are worse by just that."""


class Row(BaseModel):
    """One thing that is compared. Ratios are HEAD / BASE - 1: .05 is five percent more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str
    metric: str
    kind: Kind
    gated: bool
    verdict: Verdict
    reason: str
    base: float | None = None
    """Mean over seeds, milliseconds a call for times."""
    head: float | None = None
    change: float | None = None
    low: float | None = None
    """Confidence bounds of ``change``; that on the worse side holds for all rows together."""
    high: float | None = None
    n: int | None = None
    """Pairs of seeds, or processes."""


class Result(BaseModel):
    """A whole comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    experiment: str
    base: str
    head: str
    verdict: Literal["ok", "regression", "undecided"]
    exit_code: int
    strict: bool
    rows: list[Row]
    notes: list[str]
    seconds: float


@dataclass(frozen=True)
class Judgeable:
    """A row whose verdict hangs on an estimate; it is judged together with all others."""

    row: Row
    estimate: Estimate
    """Of log HEAD - log BASE; of HEAD - BASE where there is a ``unit``."""
    margin: float
    """Relative."""
    lower_is_better: bool
    notes: tuple[str, ...] = field(default=())
    unit: float | None = None
    """Of a number that may fall to 0 and below, so that it has no logarithm: what its margin is a share of."""

    @property
    def worse(self) -> Estimate:
        """The difference turned so that positive is worse."""
        return self.estimate if self.lower_is_better else self.estimate.negative()

    @property
    def limit(self) -> float:
        """The margin, on the scale of the estimate."""
        return math.log1p(self.margin) if self.unit is None else self.margin * self.unit

    def relative(self, difference: float) -> float:
        """The share that a difference on the scale of the estimate is."""
        return _relative(difference) if self.unit is None else difference / self.unit


def judge(pool: Sequence[Judgeable], error: float) -> list[Row]:
    """Verdicts of all rows that share one family-wise error.

    A row is a regression where its lower bound of "worse by" lies above the margin, at the level that Holm's
    procedure gives it; improved the same way round. Else it is ok where it is shown not to be worse by the margin,
    and inconclusive where it is not.
    """
    margins = [item.limit for item in pool]
    worse = holm_levels([item.worse.p_above(m) for item, m in zip(pool, margins, strict=True)], error)
    better = holm_levels([item.worse.negative().p_above(m) for item, m in zip(pool, margins, strict=True)], error)
    return [
        _judged(item, margin, *was_worse, *was_better)
        for item, margin, was_worse, was_better in zip(pool, margins, worse, better, strict=True)
    ]


def _judged(item: Judgeable, margin: float, is_worse: bool, level: float, is_better: bool, better_level: float) -> Row:
    worse = item.worse

    def percent(difference: float) -> str:
        return f"{100 * item.relative(difference):.1f} %"

    change = percent(worse.difference)
    within = f"{100 * item.margin:g} %"
    verdict: Verdict
    if is_worse:
        verdict, bound = "regression", worse.lower(level)
        reason = f"worse by {change}, at least {percent(bound)}: above the margin of {within}"
    elif is_better:
        verdict, bound = "improved", worse.negative().lower(better_level)
        reason = f"better by {percent(-worse.difference)}, at least {percent(bound)}: above the margin of {within}"
    elif worse.upper(PER_ROW) < margin:
        verdict = "ok"
        reason = f"{_worse_or_better(item)}: not worse by {within}"
    else:
        verdict = "inconclusive"
        reason = (
            f"{_worse_or_better(item)}, but it could be {percent(worse.upper(PER_ROW))} worse, "
            f"and the margin is {within}"
        )
    bounds = sorted(item.relative(x) for x in (item.estimate.lower(level), item.estimate.upper(level)))
    return item.row.model_copy(
        update={
            "verdict": verdict,
            "reason": "; ".join([reason, *item.notes]),
            "change": _finite(item.relative(item.estimate.difference)),
            "low": _finite(bounds[0]),
            "high": _finite(bounds[1]),
        }
    )


def _relative(log_difference: float) -> float:
    """The share that a difference of logarithms is; infinite where that is beyond all floats."""
    try:
        return math.expm1(log_difference)
    except OverflowError:
        return math.inf


def _worse_or_better(item: Judgeable) -> str:
    share = item.relative(item.worse.difference)
    if abs(share) < 5e-4:
        return "the same to a tenth of a percent"
    better = item.relative(-item.worse.difference)
    return f"worse by {100 * share:.1f} %" if share > 0 else f"better by {100 * better:.1f} %"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def judge_exact(row: Row, base: Sequence[float], head: Sequence[float], lower_is_better: bool, notes: str = "") -> Row:
    """Equality, seed by seed: worse anywhere is a regression, better anywhere (and worse nowhere) improved."""
    sign = 1 if lower_is_better else -1
    differences = [sign * (b - a) for a, b in zip(base, head, strict=True)]
    verdict: Verdict = "ok"
    reason = "equal"
    if any(d > 0 for d in differences):
        count = sum(d > 0 for d in differences)
        where = "" if count == len(differences) else f" under {count} of {len(differences)} seeds"
        verdict, reason = "regression", f"worse{where}; exact numbers have no margin"
    elif any(d < 0 for d in differences):
        verdict, reason = "improved", "better, and worse nowhere"
    mean_base, mean_head = sum(base) / len(base), sum(head) / len(head)
    change = mean_head / mean_base - 1 if mean_base else None
    return row.model_copy(
        update={
            "verdict": verdict,
            "reason": reason + notes,
            "base": mean_base,
            "head": mean_head,
            "change": change,
            "n": len(base),
        }
    )


UNDECIDED: dict[Verdict, tuple[Kind, ...]] = {
    "missing": ("cell", "exact", "stochastic"),
    "not comparable": ("cell", "exact", "stochastic"),
}
"""Always exit code 3 where gated."""
UNDECIDED_IF_STRICT: tuple[Verdict, ...] = ("inconclusive", "invalid", "missing", "not comparable")


def exit_code(rows: Sequence[Row], *, strict: bool) -> int:
    """1: a gated regression. 3: something gated could not be compared, or, if strict, not decided. Else 0.

    A regression that was found counts for more than what could not be compared.
    """
    gated = [row for row in rows if row.gated]
    if any(row.verdict == "regression" for row in gated):
        return 1
    if any(row.kind in UNDECIDED.get(row.verdict, ()) for row in gated):
        return 3
    if strict and (not gated or any(row.verdict in UNDECIDED_IF_STRICT for row in gated)):
        return 3
    return 0

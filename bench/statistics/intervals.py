"""Means of few seeds with honest intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

ROUNDING = 1e-12
"""Numbers that differ by a smaller share than this differ by how they were added up."""


def same(one: float, other: float) -> bool:
    """Whether two numbers differ by rounding at most."""
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=0.0)


@dataclass(frozen=True)
class Interval:
    """Mean of ``n`` values with its 95 % t-interval, in the unit of the values.

    ``std`` is the sample standard deviation (ddof 1). With one value ``std`` and ``half`` are NaN, with no
    spread they are 0; ``note`` says so. Without any value all are NaN, and where one is not finite.
    """

    n: int
    mean: float
    std: float
    half: float
    note: str

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean, standard deviation and half width of the two-sided t-interval of independent values."""
    n = len(values)
    if n == 0:
        return Interval(0, math.nan, math.nan, math.nan, "no value")
    if not all(map(math.isfinite, values)):
        return Interval(n, math.nan, math.nan, math.nan, "not finite")
    mean = _mean(values)
    if n == 1:
        return Interval(1, mean, math.nan, math.nan, "one seed: no interval")
    std = statistics.stdev(values)
    if std == 0:
        return Interval(n, values[0], 0.0, 0.0, "no spread over seeds")
    quantile = float(stdtrit(n - 1, (1 + confidence) / 2))
    return Interval(
        n, mean, std, quantile * std / math.sqrt(n), "95 % t" if confidence == 0.95 else f"{confidence:g} t"
    )


def _mean(values: Sequence[float]) -> float:
    """The mean of finite values, where their sum is beyond all floats too."""
    try:
        return statistics.fmean(values)
    except OverflowError:
        return statistics.mean(values)


def paired_p(differences: Sequence[float], margin: float | None = None) -> float:
    """P-value of paired differences under a t distribution.

    Without ``margin``: two-sided, against no difference. With it: one-sided, against "the mean is at least
    ``margin``" (small: shown to stay below it). NaN with fewer than two differences, or where
    one is not finite.
    """
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return math.nan
    distance = _mean(differences) - (margin or 0.0)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    if error == 0:  # no spread, or one that is below all floats
        shown = distance < 0 if margin is not None else distance != 0
        return 0.0 if shown else 1.0
    t = distance / error
    degrees = len(differences) - 1
    return float(stdtr(degrees, t)) if margin is not None else 2 * float(stdtr(degrees, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given. NaN stays NaN and does not count as a comparison."""
    tested = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        adjusted[index] = highest
    return adjusted

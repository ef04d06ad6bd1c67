"""A difference and its error: moderated variances of few values, tests and bounds, Holm's levels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import digamma, ndtr, ndtri, polygamma, stdtr, stdtrit

from bench.statistics.intervals import ROUNDING


@dataclass(frozen=True)
class Prior:
    """What is known of the variance of one difference before any seed is seen: worth ``degrees`` degrees of freedom."""

    variance: float
    degrees: float


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its standard error, and the degrees of freedom of that error (infinite: it is known)."""

    difference: float
    error: float
    degrees: float

    def negative(self) -> Estimate:
        """The same difference the other way round."""
        return Estimate(-self.difference, self.error, self.degrees)

    def p_above(self, margin: float) -> float:
        """One-sided p-value of "the true difference is at most ``margin``"."""
        distance = self.difference - margin
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        t = -distance / self.error
        return float(ndtr(t) if math.isinf(self.degrees) else stdtr(self.degrees, t))

    def p_two_sided(self) -> float:
        """P-value of "there is no difference", against either direction."""
        if self.error == 0:
            return 0.0 if self.difference else 1.0
        return 2 * min(self.p_above(0.0), self.negative().p_above(0.0))

    def lower(self, error: float) -> float:
        """The one-sided lower confidence bound that is wrong with probability ``error``."""
        return self.difference - self._reach(error)

    def upper(self, error: float) -> float:
        """The one-sided upper confidence bound that is wrong with probability ``error``."""
        return self.difference + self._reach(error)

    def _reach(self, error: float) -> float:
        if self.error == 0:
            return 0.0
        # The lower quantile, not that of 1 - error: a small error would be rounded away.
        return -self.error * float(ndtri(error) if math.isinf(self.degrees) else stdtrit(self.degrees, error))


def moderated(variance: float, degrees: float, prior: Prior | None) -> tuple[float, float]:
    """A sample variance shrunk towards the prior, and its degrees of freedom (Smyth 2004, eq. 3).

    ``(d0 s0^2 + d s^2) / (d0 + d)`` with ``d0 + d`` degrees of freedom; without a prior the variance as it is.
    """
    if prior is None:
        return variance, degrees
    total = prior.degrees + degrees
    return (prior.degrees * prior.variance + degrees * variance) / total, total


def paired(base: Sequence[float], head: Sequence[float], prior: Prior | None = None) -> Estimate | None:
    """The mean of the differences head - base, seed by seed.

    Returns:
        None where nothing is known of the spread: no pair, or one pair and no prior.
    """
    differences = [b - a for a, b in zip(base, head, strict=True)]
    if not differences or (len(differences) < 2 and prior is None):
        return None
    own = statistics.variance(differences) if len(differences) > 1 else 0.0
    variance, degrees = moderated(own, len(differences) - 1, prior)
    return Estimate(statistics.fmean(differences), math.sqrt(variance / len(differences)), degrees)


def welch(base: Sequence[float], head: Sequence[float]) -> Estimate | None:
    """The difference of two means whose values do not belong together (Welch 1947); None with fewer than two values."""
    if min(len(base), len(head)) < 2:
        return None
    parts = [statistics.variance(values) / len(values) for values in (base, head)]
    total = sum(parts)
    difference = statistics.fmean(head) - statistics.fmean(base)
    if total == 0:
        return Estimate(difference, 0.0, float(len(base) + len(head) - 2))
    # Of shares, not of the parts themselves: the square of a small variance is 0.
    below = sum((part / total) ** 2 / (len(values) - 1) for part, values in zip(parts, (base, head), strict=True))
    return Estimate(difference, math.sqrt(total), 1 / below)


def holm_levels(p_values: Sequence[float], error: float) -> list[tuple[bool, float]]:
    """Holm's procedure (1979): for each hypothesis whether it is rejected, and the level that it was tested at.

    The probability of any false rejection is at most ``error`` however the tests depend on each other, as with
    Bonferroni's; it rejects whatever Bonferroni's does, and more.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    found = [(False, error)] * len(p_values)
    still, level = True, error
    for rank, index in enumerate(order):
        if still:
            level = error / (len(p_values) - rank)
            still = p_values[index] < level
        found[index] = (still, level)  # all after the first that is not rejected: tested at its level
    return found


def fit_prior(
    variances: Sequence[float], degrees: float | Sequence[float], within: tuple[float, float] | None = None
) -> Prior:
    """The prior behind a set of sample variances (Smyth 2004, section 6.2).

    The variances are taken for s0^2 F(degrees, d0). Mean and variance of their logarithms give s0^2 and d0.

    Args:
        variances: positive.
        degrees: degrees of freedom of the variances: of each, or one number for all.
        within: the least and the most that d0 may be. Where it moves d0, s0^2 is the larger of that which fits the
            found d0 and that which fits the moved one, so that a bound never makes a test more daring.

    Raises:
        ValueError: fewer than two variances, or one that is not positive.
    """
    if len(variances) < 2 or min(variances) <= 0:
        raise ValueError(f"a prior needs at least two positive variances, found {list(variances)}")
    each = [degrees] * len(variances) if isinstance(degrees, int | float) else list(degrees)
    logs = [math.log(v) - _mean_log(d) for v, d in zip(variances, each, strict=True)]
    mean = statistics.fmean(logs)
    sampled = statistics.fmean(float(polygamma(1, d / 2)) for d in each)
    spread = statistics.variance(logs) - sampled
    # No more spread than sampling gives: one variance for all.
    fitted = 2 * trigamma_inverse(spread) if spread > ROUNDING * sampled else math.inf
    least, most = within or (0.0, MANY)
    d0 = min(max(fitted, least), most)
    largest = fitted if within is None else max(fitted, d0)
    return Prior(math.exp(mean + (0.0 if math.isinf(largest) else _mean_log(largest))), d0)


def _mean_log(degrees: float) -> float:
    """The mean logarithm of a chi-square of so many degrees of freedom, divided by them."""
    return float(digamma(degrees / 2)) - math.log(degrees / 2)


MANY = 1000.0
"""Degrees of freedom from which on a t distribution is a normal one."""


def trigamma_inverse(value: float) -> float:
    """x with trigamma(x) = ``value``, by Newton's method on 1 / trigamma (Smyth 2004, appendix); value > 0."""
    x = 0.5 + 1 / value
    for _ in range(50):
        tri = float(polygamma(1, x))
        step = tri * (1 - tri / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x

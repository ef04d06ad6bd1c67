"""What a comparison will be able to tell, and what must be added so that it tells more.

A difference is told where a one-sided test at ``level`` rejects. For a family give the level of its first step
(`families.first_levels`): what is found is then a promise, as later steps test at more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy.special import nctdtr, ndtri, stdtrit

POWER = 0.8
"""Probability with which a difference of the promised size is told."""

MOST = 100_000
"""More seeds or checkpoints than this are no number that anybody would take."""


@dataclass(frozen=True)
class Spread:
    """Where the variance of a comparison comes from, each for one unit, on the scale of the difference.

    Attributes:
        images: of the images of one seed, at the N that was taken.
        seeds: between seeds of one checkpoint, beyond the images: what calibration, pruning or training draw.
        checkpoints: between checkpoints, beyond seeds; 0 where the question is about one network.
    """

    images: float
    seeds: float = 0.0
    checkpoints: float = 0.0


@dataclass(frozen=True)
class Design:
    """How much is measured, and how well the error of it is known.

    Attributes:
        seeds: of each checkpoint.
        checkpoints: 1 where the question is about one network.
        images: how many times the images of `Spread`.
        prior: degrees of freedom that the error has beside those of the units; infinite: it is known.
    """

    seeds: int
    checkpoints: int = 1
    images: float = 1.0
    prior: float = math.inf

    def error(self, spread: Spread) -> float:
        """Standard error of the mean difference: seeds within checkpoints, images within seeds."""
        of_seed = spread.seeds + spread.images / self.images
        return math.sqrt((spread.checkpoints + of_seed / self.seeds) / self.checkpoints)

    def degrees(self, spread: Spread) -> float:
        """Degrees of freedom: the prior's, and one less than the units: checkpoints where these vary, else seeds."""
        units = self.checkpoints if spread.checkpoints > 0 else self.checkpoints * self.seeds
        return self.prior + units - 1


@dataclass(frozen=True)
class Needed:
    """By what factor each one alone must grow so that a difference is told; 1: it is already; None: no number does."""

    images: float | None
    seeds: float | None
    checkpoints: float | None


def reach(degrees: float, level: float, power: float = POWER) -> float:
    """The smallest true difference, in standard errors, that a one-sided test at ``level`` tells with ``power``.

    The noncentrality at which the t statistic passes its critical value with that probability; infinite where there are
    no degrees of freedom.
    """
    if degrees <= 0:
        return math.inf
    if math.isinf(degrees):
        return -float(ndtri(level)) + float(ndtri(power))
    critical = -float(stdtrit(degrees, level))
    low, high = 0.0, 2.0
    while _missed(degrees, high, critical) > 1 - power:
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (middle, high) if _missed(degrees, middle, critical) > 1 - power else (low, middle)
    return high


def tellable(error: float, degrees: float, level: float, power: float = POWER) -> float:
    """The smallest true difference that a comparison with this standard error tells with probability ``power``."""
    return error * reach(degrees, level, power) if error else 0.0


def tells(spread: Spread, design: Design, difference: float, level: float, power: float = POWER) -> bool:
    """Whether the design tells a true difference of this size with probability ``power``."""
    return tellable(design.error(spread), design.degrees(spread), level, power) <= difference


def needed(spread: Spread, design: Design, difference: float, level: float, power: float = POWER) -> Needed:
    """By how much images, seeds or checkpoints must grow, each alone, to tell a difference with probability ``power``.

    More images of each seed leave what varies between seeds, and more seeds of a checkpoint what varies between
    checkpoints: where that alone is too much, no number suffices. Seeds and checkpoints are whole numbers, and bring
    degrees of freedom. Checkpoints are no way where none vary: the question is then about one network.

    Raises:
        ValueError: the difference is not positive.
    """
    if not difference > 0:
        raise ValueError(f"a difference to be told is positive, found {difference}")
    if tells(spread, design, difference, level, power):
        return Needed(1.0, 1.0, 1.0)

    def grown(count: int, other: Callable[[int], Design]) -> float | None:
        """The least count that tells, as a factor; the more, the surer."""
        if not tells(spread, other(MOST), difference, level, power):
            return None
        low, high = count, MOST
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if tells(spread, other(middle), difference, level, power) else (middle, high)
        return high / count

    allowed = difference / reach(design.degrees(spread), level, power)
    left = (allowed**2 * design.checkpoints - spread.checkpoints) * design.seeds - spread.seeds
    return Needed(
        images=spread.images / (left * design.images) if left > 0 else None,
        seeds=grown(design.seeds, lambda count: replace(design, seeds=count)),
        checkpoints=grown(design.checkpoints, lambda count: replace(design, checkpoints=count))
        if spread.checkpoints > 0
        else None,
    )


def _missed(degrees: float, noncentrality: float, critical: float) -> float:
    """Probability that a noncentral t statistic stays below its critical value."""
    found = float(nctdtr(degrees, noncentrality, critical))
    return 0.0 if math.isnan(found) else found  # far above the critical value, where it underflows

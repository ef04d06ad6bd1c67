"""From differences unit by unit to one estimate, with the variance that belongs to what made the numbers.

A number of a cell has noise of its images, and, by what the cell draws, noise of its calibration, of its pruning or
training, of its checkpoint. That of the images is known (influence functions); the others show in the spread over units
(seeds, checkpoints), of which there are few. So their variances are moderated: shrunk towards what all comparisons
of the same kind say together (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", eq. 3 and section 6.2).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistics.estimates import Estimate, Prior, fit_prior, moderated

CALIBRATE = "calibrate"

DEGREES = (4.0, 10.0)
"""What the prior of a class may be worth. More would trust a few comparisons too much: they share seeds."""

NO_EXCESS = Prior(1.0, DEGREES[0])
"""The ratio of a calibration's variance to that of the images, before any is seen: nothing beyond the images."""

FEWEST = 3
"""Comparisons of a class from which on a prior is fitted."""


@dataclass(frozen=True)
class Difference:
    """One comparison of two cells, unit by unit (seeds, or checkpoints), on the linear scale of the quantity.

    Attributes:
        values: the difference A - B of each unit.
        images: the variance of each value that comes from the images (paired where these are common).
        logs: log A - log B of each unit, where the quantity is positive: the variance of what is drawn is about
            proportional to the square of the quantity, so logarithms compare across cells. None: it is not positive.
        scale: what turns a difference of logarithms into one of values. Of a ratio: the logarithmic mean of both sides.
        varies: the streams beside ``eval`` that either side's numbers depend on (``calibrate``, ``prune``, ``train``),
            and ``checkpoint`` where units are checkpoints. Comparisons with the same ones are a class.
    """

    values: tuple[float, ...]
    images: tuple[float, ...]
    logs: tuple[float, ...] | None
    scale: float
    varies: frozenset[str]
    least: float = 0.0
    """What the mean of ``images`` is at least: each is an estimate of its own, and one of them may be below 0."""
    ratio: bool = False
    """Whether the estimate is of ``logs`` where networks were drawn and there are any: errors that grow with the value
    then tell ratios apart that no test of values could."""

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.values, self.images, self.logs) if part is not None}
        if len(lengths) > 1:
            raise ValueError(f"a difference has one entry a unit, found {sorted(lengths)}")

    @property
    def finite(self) -> bool:
        """Whether there is a unit, and every number is one."""
        logs = () if self.logs is None else (*self.logs, self.scale)
        return bool(self.values) and all(map(math.isfinite, (*self.values, *self.images, *logs)))

    @property
    def from_images(self) -> float:
        """The mean over the units of the variance that comes from the images."""
        return max(statistics.fmean(self.images), self.least)

    @property
    def on_logs(self) -> bool:
        """Whether the estimate is of the logarithms."""
        return self.ratio and self.logs is not None and not self.known and not self.calibrated

    @property
    def known(self) -> bool:
        """Whether nothing but evaluation inputs was drawn: all noise is that of the images."""
        return not self.varies

    @property
    def calibrated(self) -> bool:
        """Whether nothing but evaluation inputs and calibration inputs was drawn."""
        return self.varies == {CALIBRATE}


def estimated(differences: Sequence[Difference]) -> list[Estimate | None]:
    """The mean difference of each comparison with its error; priors are fitted within the classes of those given.

    Give all comparisons of one workload together. The variance of the mean of n units is, with v the mean variance
    that comes from the images and S^2 the sample variance over the units:

    - nothing drawn but evaluation inputs: v / n, known (infinite degrees of freedom);
    - calibration inputs too: v max(1, r) / n, r the ratio S^2 / v moderated over the class;
    - networks or checkpoints drawn: S^2 of the logarithms, moderated over the class, times ``scale`` squared, never
      below v, over n. Where the difference is `on_logs`, all of this on their scale: divided by ``scale`` squared.

    Degrees of freedom: those of the prior and n - 1. A class of fewer than three comparisons with a spread has no prior
    of its own: a ratio of 1 stands for it under calibration, and S^2 of the values stays as it is otherwise.

    Returns:
        None where nothing can be said: no unit, a number that is none, or one unit where networks are drawn.
    """
    priors = {
        varies: _prior([d for d in differences if d.varies == varies]) for varies in {d.varies for d in differences}
    }
    return [estimate_of(difference, priors[difference.varies]) for difference in differences]


def _prior(members: Sequence[Difference]) -> Prior | None:
    """What the comparisons of one class say together of `_spread`; None where they are too few."""
    seen = [(_spread(d), len(d.values) - 1) for d in members if d.finite and len(d.values) > 1]
    # One without any spread is no draw from a distribution of variances: two equal networks, or a constant.
    usable = [(spread, degrees) for spread, degrees in seen if spread is not None and spread > 0]
    if len(usable) < FEWEST:
        return None
    spreads, degrees = zip(*usable, strict=True)
    return fit_prior(spreads, degrees, DEGREES)


def _spread(difference: Difference) -> float | None:
    """What is moderated, of at least two units: a ratio of variances under calibration, else the variance of logs."""
    if difference.known:
        return None
    if difference.calibrated:
        v = difference.from_images
        return statistics.variance(difference.values) / v if v > 0 else None
    return statistics.variance(difference.logs) if difference.logs is not None else None


def estimate_of(difference: Difference, prior: Prior | None) -> Estimate | None:
    """One comparison by the rules of `estimated`, with a prior of its class that is known beforehand.

    Args:
        prior: of the ratio S^2 / v under calibration, of S^2 of the logarithms where networks are drawn.
    """
    if not difference.finite:
        return None
    n = len(difference.values)
    if not any(difference.values) and not any(difference.images):
        return Estimate(0.0, 0.0, math.inf)  # the same numbers on both sides: the same network
    found = _variance(difference, prior, n)
    if found is None:
        return None
    variance, degrees = found
    if difference.on_logs:
        assert difference.logs is not None
        return Estimate(statistics.fmean(difference.logs), math.sqrt(variance / n) / difference.scale, degrees)
    return Estimate(statistics.fmean(difference.values), math.sqrt(variance / n), degrees)


def _variance(difference: Difference, prior: Prior | None, n: int) -> tuple[float, float] | None:
    """The variance of one unit's value, and its degrees of freedom."""
    v = difference.from_images
    if difference.known:
        return v, math.inf
    if difference.calibrated and v > 0:
        own = _spread(difference) if n > 1 else 0.0
        ratio, degrees = moderated(own or 0.0, n - 1, prior or NO_EXCESS)
        return v * max(1.0, ratio), degrees
    if n < 2:
        return None
    if prior is None and difference.on_logs:
        return max(v, statistics.variance(difference.logs or ()) * difference.scale**2), float(n - 1)
    if prior is None or difference.logs is None or difference.calibrated:
        return max(v, statistics.variance(difference.values)), float(n - 1)
    logs, degrees = moderated(statistics.variance(difference.logs), n - 1, prior)
    return max(v, logs * difference.scale**2), degrees

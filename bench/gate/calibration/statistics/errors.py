"""Are the errors that images give right? Against the spread over seeds, between equal networks, in the limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.gate.calibration.rates import Rate, rate_of
from bench.gate.calibration.statistics.bounds import NORMAL, rate_of_runs
from bench.gate.calibration.statistics.collect import LEADING
from bench.gate.calibration.statistics.read import Array, Collected
from bench.gate.calibration.statistics.sums import Sums
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation import GENERATION
from bench.tasks.generation.evaluation import GenerationJudge
from bench.tasks.generation.limit import limit

RESAMPLES = 2_000
DRAWS = 4_000


@dataclass(frozen=True)
class Ratio:
    """A standard error, the root of the mean variance over the seeds, as a share of the spread over seeds."""

    error: float
    spread: float
    low: float
    high: float
    """95 % bounds of the ratio by a bootstrap of the seeds."""

    @property
    def value(self) -> float:
        return self.error / self.spread


def ratio(values: Array, variances: Array, seed: int = 0) -> Ratio:
    """Of ``(S,)`` values and of the variance that each is said to have."""
    rng = np.random.default_rng(seed)
    taken = rng.integers(0, len(values), (RESAMPLES, len(values)))
    resampled = np.sqrt(variances[taken].mean(axis=1)) / values[taken].std(axis=1, ddof=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Ratio(float(np.sqrt(variances.mean())), float(values.std(ddof=1)), float(low), float(high))


def single(data: Collected, name: str, network: int) -> Ratio:
    """Of one network's number."""
    return ratio(data.values[name][:, network], data.variances[name][:, network])


def pair(data: Collected, name: str, one: int, other: int) -> Ratio:
    """Of the difference of two networks on common inputs."""
    values = data.values[name]
    return ratio(values[:, one] - values[:, other], data.paired[name][:, one, other])


def unpaired_same(data: Collected, seeds_a_side: int, levels: tuple[float, ...], seed: int = 0) -> list[Rate]:
    """Each fixed network against itself on other inputs, in two runs of so many seeds, by the images' errors alone:
    how often a difference is said to be there, at each level. Where there is none: each of which calibration alone is
    drawn."""
    rng = np.random.default_rng(seed)
    count = len(data.seeds)
    drawn = np.argsort(rng.random((DRAWS, count)), axis=1)[:, : 2 * seeds_a_side]
    which = data.of("fixed") or data.calibrated()
    network = rng.choice(which, DRAWS)
    values, variances = (
        table[LEADING][drawn, network[:, None]].reshape(DRAWS, 2, seeds_a_side)
        for table in (data.values, data.variances)
    )
    change = values.mean(axis=2) @ np.array([1.0, -1.0])
    error = np.sqrt(variances.mean(axis=2).sum(axis=1) / seeds_a_side)
    p = 2 * ndtr(-np.abs(change) / error)
    return [rate_of_runs(p < level, drawn, count) for level in levels]


@dataclass(frozen=True)
class Limit:
    """Does the interval of one evaluation cover what very many images give?"""

    network: int
    pooled: float
    images: int
    mean: float
    """Of the single evaluations."""
    covered: Rate


def limits(data: Collected, sums: Sums) -> list[Limit]:
    """Value -+ 1.96 errors of each seed against the value of all images of all seeds together.

    Of every fixed network, and of drawn ones of which calibration alone is drawn: there all images are of as many
    networks, hardly different ones. That value is the distance of their common Gaussian less its bias, which is that of
    one seed divided by the seeds.
    """
    shop = Workshop(Settings(num_images=data.num_images, metrics=GENERATION.metrics, curve=False))
    judge = shop.load(data.workload, "shipped").judge
    assert isinstance(judge, GenerationJudge)
    found = []
    plain = GENERATION.leaders[1]
    for i in [*data.of("fixed"), *data.calibrated()]:
        each = sums.sums[data.workload, data.networks[i].label]
        bias = float((data.raw[plain][:, i] - data.raw[LEADING][:, i]).mean()) * data.num_images / each.count
        pooled = limit(judge, each.gaussian, bias)
        hits = np.abs(data.raw[LEADING][:, i] - pooled) <= NORMAL * np.sqrt(data.variances[LEADING][:, i])
        found.append(Limit(i, pooled, each.count, float(data.raw[LEADING][:, i].mean()), _share(hits)))
    return found


def _share(hits: NDArray[np.bool_]) -> Rate:
    """Seeds are independent: Clopper and Pearson's bounds are all."""
    return rate_of(hits, np.full(1, hits.mean()))

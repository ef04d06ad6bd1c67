"""Runs of few seeds, drawn from those that were collected, decided as a run is: how often something false is said, and
how often what is true.

A run's comparisons are estimated and corrected together by `bench.statistics` as they stand. For the null experiment
every difference is moved to mean 0 over all seeds; what its noise is, and how comparisons depend on each other, stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.gate.calibration.rates import Rate
from bench.gate.calibration.statistics.bounds import rate_of_runs
from bench.gate.calibration.statistics.collect import LEADING
from bench.gate.calibration.statistics.read import Array, Collected
from bench.statistics import Difference, between, estimated, holm, paired_p
from bench.tables.evidence import logarithmic_mean
from bench.tasks.generation import GENERATION

DRAWS = 1_000
AT_N = GENERATION.quantity(LEADING).at_n
"""Of which logarithms are taken: it is positive."""
ERROR = 0.05
LARGE = 0.1
"""A true difference of this share of the reference's value, and of two errors of a run, is one that should be found."""


@dataclass(frozen=True)
class Family:
    """All comparisons of one workload with one reference."""

    data: Collected
    reference: int
    others: tuple[int, ...]

    @property
    def groups(self) -> list[str]:
        return [self.data.networks[i].strategy for i in self.others]

    @cached_property
    def differences(self) -> Array:
        """``(S, comparisons)``"""
        values = self.data.values[LEADING]
        return np.asarray(values[:, list(self.others)] - values[:, [self.reference]])

    @cached_property
    def logs(self) -> Array:
        """The same of the logarithms of the number at N, as a run takes them; NaN where a value has none."""
        values = self.data.raw[AT_N]
        logs = np.log(np.where(values > 0, values, np.nan))
        return np.asarray(logs[:, list(self.others)] - logs[:, [self.reference]])

    def comparisons(self, seeds: NDArray[np.int64], *, centred: bool) -> list[Difference]:
        """As a run of these seeds has them."""
        values, logs = self.differences[seeds], self.logs[seeds]
        if centred:
            values = values - self.differences.mean(axis=0)
            logs = logs - np.nanmean(self.logs, axis=0)
        data = self.data
        images = data.paired[LEADING][seeds][:, list(self.others), self.reference]
        means = data.raw[AT_N][seeds].mean(axis=0)
        return [
            Difference(
                tuple(values[:, k]),
                tuple(images[:, k]),
                tuple(logs[:, k]) if np.isfinite(logs[:, k]).all() else None,
                logarithmic_mean(float(means[i]), float(means[self.reference])),
                data.varies[i] | data.varies[self.reference],
                ratio=True,
            )
            for k, i in enumerate(self.others)
        ]

    def large(self, seeds_of_a_run: int) -> NDArray[np.bool_]:
        """Which true differences should be found by a run of so many seeds."""
        true = np.abs(self.differences.mean(axis=0))
        error = self.differences.std(axis=0, ddof=1) / np.sqrt(seeds_of_a_run)
        level = abs(self.data.values[LEADING][:, self.reference].mean())
        return np.asarray((true >= LARGE * level) & (true >= 2 * error))


@dataclass(frozen=True)
class Found:
    """What runs of one family said."""

    runs: int
    false_runs: Rate
    """Runs of the null experiment with any verdict at all."""
    found: float
    """Share of the true differences that are large enough which got a verdict in the right direction."""
    large: int
    wrong: Rate
    """Runs (not centred) with a verdict in the wrong direction."""
    found_by_t: float
    """The same share by Holm's procedure over t tests of the seeds."""


def decided(family: Family, seeds_of_a_run: int, seed: int = 0, draws: int | None = None) -> Found:
    """Many runs of so many different seeds each."""
    rng = np.random.default_rng(seed)
    count = len(family.data.seeds)
    drawn = np.argsort(rng.random((draws or DRAWS, count)), axis=1)[:, :seeds_of_a_run]
    false, wrong, right, by_t = [], [], [], []
    true = np.sign(family.differences.mean(axis=0))
    large = family.large(seeds_of_a_run)
    for seeds in drawn:
        false.append(bool(np.any(_shown(family, seeds, centred=True) != 0)))
        shown = _shown(family, seeds, centred=False)
        wrong.append(bool(np.any(shown * true < 0)))
        right.append(float(np.mean((shown == true)[large])) if large.any() else np.nan)
        p = np.array(holm([paired_p(list(column)) for column in family.differences[seeds].T]))
        by_t.append(float(np.mean((p < ERROR)[large])) if large.any() else np.nan)
    return Found(
        len(drawn),
        rate_of_runs(np.array(false), drawn, count),
        float(np.mean(right)),
        int(large.sum()),
        rate_of_runs(np.array(wrong), drawn, count),
        float(np.mean(by_t)),
    )


def _shown(family: Family, seeds: NDArray[np.int64], *, centred: bool) -> NDArray[np.int64]:
    estimates = estimated(family.comparisons(seeds, centred=centred))
    return np.array([each.shown if each else 0 for each in between(family.groups, estimates, 0.0, ERROR)])


@dataclass(frozen=True)
class Width:
    """Half widths of 95 % intervals of one comparison, root mean squares over many runs; each alone, uncorrected."""

    own: float
    by_t: float
    """Of the t interval of the seeds."""
    covered: Rate
    """How often the own one covers the mean over all seeds."""


def widths(family: Family, seeds_of_a_run: int, seed: int = 0) -> list[Width]:
    """Of each comparison, its variance moderated beside the others'."""
    rng = np.random.default_rng(seed)
    count = len(family.data.seeds)
    drawn = np.argsort(rng.random((DRAWS, count)), axis=1)[:, :seeds_of_a_run]
    true = family.differences.mean(axis=0)
    own = np.zeros((len(drawn), len(true), 2))
    for row, seeds in zip(own, drawn, strict=True):
        comparisons = family.comparisons(seeds, centred=False)
        base = float(family.data.raw[AT_N][seeds, family.reference].mean())
        for k, (estimate, made) in enumerate(zip(estimated(comparisons), comparisons, strict=True)):
            ends = (np.nan, np.nan) if estimate is None else (estimate.lower(0.025), estimate.upper(0.025))
            row[k] = base * np.expm1(ends) if made.on_logs else ends
    spread = family.differences[drawn].std(axis=1, ddof=1)
    by_t = stdtrit(seeds_of_a_run - 1, 0.975) * spread / np.sqrt(seeds_of_a_run)
    hits = (own[:, :, 0] <= true) & (true <= own[:, :, 1])
    half = (own[:, :, 1] - own[:, :, 0]) / 2
    return [Width(_rms(half[:, k]), _rms(by_t[:, k]), rate_of_runs(hits[:, k], drawn, count)) for k in range(len(true))]


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def twins(family: Family, twin: int, original: int, seeds_of_a_run: int, levels: tuple[float, ...]) -> list[Rate]:
    """A network against its twin, which does not differ in truth, in runs of so many seeds: how often a difference is
    said to be there, at each level. Its variance is moderated beside the family's comparisons, as in a run."""
    rng = np.random.default_rng(0)
    count = len(family.data.seeds)
    drawn = np.argsort(rng.random((DRAWS, count)), axis=1)[:, :seeds_of_a_run]
    own = Family(family.data, original, (twin,))
    p = []
    for seeds in drawn:
        comparisons = [*family.comparisons(seeds, centred=False), *own.comparisons(seeds, centred=False)]
        estimate = estimated(comparisons)[-1]
        p.append(1.0 if estimate is None else estimate.p_two_sided())
    return [rate_of_runs(np.array(p) < level, drawn, count) for level in levels]

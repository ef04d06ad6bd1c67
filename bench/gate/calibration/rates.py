"""From collected data to rates: how often the gate cries wolf, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import binomtest

from bench.base.errors import UserError
from bench.experiments.gate import Gate
from bench.gate.calibration.quality import CELLS, METRICS, NOISE, NOISY, STEPS, WORKLOADS, Variant
from bench.gate.calibration.quality import COLUMNS as QUALITY_COLUMNS
from bench.gate.calibration.rows import RESTORE, read_rows
from bench.gate.calibration.timing import COLUMNS as TIMING_COLUMNS
from bench.gate.timing import MIN_PROCESSES
from bench.statistics import Prior, fit_prior
from strategies.builtin import DENSE

Array = NDArray[np.float64]

SEEDS_OF_A_RUN = 3
DRAWS = 20_000
RESAMPLES = 400


@dataclass(frozen=True)
class Change:
    """A real change of one cell: which networks stand for BASE and HEAD."""

    workload: str
    base: Variant
    head: Variant

    @property
    def kind(self) -> str:
        """``+2 points``, ``+5 points`` or ``noise``."""
        if self.head.noise:
            return "noise"
        return f"+{100 * (self.head.sparsity - self.base.sparsity):.0f} points"

    @property
    def cell(self) -> str:
        at = "" if self.base.strategy == DENSE else f" @{self.base.sparsity:g}"
        return f"{self.workload} {self.base.strategy}{at}"


def changes() -> list[Change]:
    """Every change that the data holds."""
    found = []
    for workload in WORKLOADS:
        for strategy, level in CELLS:
            base = Variant(strategy, level)
            found += [Change(workload, base, Variant(strategy, round(level + step, 6))) for step in STEPS if step]
        found += [Change(workload, Variant(s, level), Variant(s, level, NOISE)) for s, level in NOISY]
    return found


def gated(change: Change, gate: Gate) -> bool:
    """Whether the noisy metrics of the changed cell are gated."""
    return any(
        (rule.workload, rule.strategy, rule.level) == (change.workload, change.base.strategy, change.base.sparsity)
        and rule.metrics != ()
        for rule in gate.cells
    )


Logs = dict[str, dict[str, Array]]
"""Workload -> network -> logarithms ``(seeds, metrics)``."""


def read_quality(path: Path) -> Logs:
    """The collected numbers; only seeds that every workload has."""
    rows = read_rows(path, QUALITY_COLUMNS)
    whole = rows.groupby("seed")["workload"].nunique() == len(WORKLOADS)
    rows = rows[rows["seed"].map(whole).astype(bool)]
    return {
        workload: {
            str(label): np.log(np.asarray(group.sort_values("seed")[list(METRICS)], float))
            for label, group in rows[rows["workload"] == workload].groupby("variant", sort=False)
        }
        for workload in WORKLOADS
    }


def difference(logs: Logs, change: Change) -> Array:
    """log HEAD - log BASE, ``(seeds, metrics)``, turned so that positive is worse."""
    table = logs[change.workload]
    return np.asarray((table[change.head.label] - table[change.base.label]) * np.array([1.0, -1.0]))


def correlation(logs: Logs, change: Change) -> Array:
    """Of BASE and HEAD over the seeds, one for each metric."""
    table = logs[change.workload]
    head, base = table[change.head.label], table[change.base.label]
    return np.array([np.corrcoef(base[:, i], head[:, i])[0, 1] for i in range(len(METRICS))])


def priors(logs: Logs, which: Sequence[Change] | None = None) -> dict[str, Prior]:
    """What all real changes together say of the variance of a difference, for each metric."""
    differences = [difference(logs, change) for change in which or changes()]
    degrees = len(differences[0]) - 1
    return {
        metric: fit_prior([float(d[:, i].var(ddof=1)) for d in differences], degrees)
        for i, metric in enumerate(METRICS)
    }


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % bounds.

    The bounds hold both for the finite number of draws (Clopper and Pearson 1934) and for the finite number of
    seeds or processes that were drawn from (bootstrap of these).
    """

    value: float
    low: float
    high: float


def rate_of(hits: NDArray[np.bool_], resampled: Array) -> Rate:
    """The rate of ``hits`` over the draws; ``resampled``: that rate for each resampling of what was drawn from."""
    exact = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="exact")
    return Rate(
        float(hits.mean()),
        min(float(exact.low), float(np.percentile(resampled, 2.5))),
        max(float(exact.high), float(np.percentile(resampled, 97.5))),
    )


def triples(seeds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`DRAWS` sets of three different seeds."""
    return np.argsort(rng.random((DRAWS, seeds)), axis=1)[:, :SEEDS_OF_A_RUN]


def seed_weights(drawn: NDArray[np.int64], seeds: int, rng: np.random.Generator) -> Array:
    """For each resampling of the seeds, the share of each drawn triple: ``(RESAMPLES, DRAWS)``, rows sum to 1."""
    counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    weights = counts[:, drawn].prod(axis=2).astype(float)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def p_values(differences: Array, drawn: NDArray[np.int64], prior: Prior, margin: float) -> Array:
    """The p-value of "worse by more than the margin" in every draw: as `bench.statistics.paired`, in bulk."""
    taken = differences[drawn]
    n = drawn.shape[1]
    degrees = prior.degrees + n - 1
    variance = (prior.degrees * prior.variance + (n - 1) * taken.var(axis=1, ddof=1)) / degrees
    t = (taken.mean(axis=1) - math.log1p(margin)) / np.sqrt(variance / n)
    return np.asarray(stdtr(degrees, -t))


@dataclass(frozen=True)
class QualityRules:
    """What of ``[gate]`` the rates depend on."""

    priors: dict[str, Prior]
    margins: dict[str, float]
    error: float


def found_in_run(
    logs: Logs, which: Sequence[Change], rules: QualityRules, *, centred: bool, seed: int = 0
) -> tuple[Rate, list[Rate]]:
    """How often a run of three seeds, in which all of ``which`` happened at once, is called a regression.

    Holm's procedure rejects something exactly where the smallest p-value is below error / tests, so that is what a
    run's verdict hangs on. For a single cell the same level is used: what it is tested at where all cells changed.

    Args:
        centred: the differences are moved to mean 0: nothing is worse, and every call is a false alarm.

    Returns:
        The rate of the run, and those of the cells (any of its metrics).
    """
    rng = np.random.default_rng(seed)
    seeds = len(next(iter(logs[which[0].workload].values())))
    drawn = triples(seeds, rng)
    weights = seed_weights(drawn, seeds, rng)
    tests = len(which) * len(METRICS)
    cells = []
    for change in which:
        differences = difference(logs, change)
        if centred:
            differences = differences - differences.mean(axis=0)
        p = [p_values(differences[:, i], drawn, rules.priors[m], rules.margins[m]) for i, m in enumerate(METRICS)]
        cells.append(np.minimum(*p) < rules.error / tests)
    run = np.any(cells, axis=0)
    return rate_of(run, weights @ run), [rate_of(cell, weights @ cell) for cell in cells]


def read_timing(path: Path) -> tuple[dict[str, Array], Array]:
    """Label -> log ratios of all processes (NaN: too few clean pairs), and the load before each process.

    Raises:
        UserError: the file is damaged, or a process lacks ratios that others have.
    """
    rows = read_rows(path, TIMING_COLUMNS).sort_values("process", kind="stable")
    counts = rows["process"].value_counts()
    if counts.nunique() > 1:
        raise UserError(
            f"{path}: process {counts.idxmin()} has {counts.min()} ratios, others {counts.max()}: cut off or edited. "
            f"{RESTORE}"
        )
    table = {str(label): np.asarray(group["log_ratio"], float) for label, group in rows.groupby("ratio", sort=False)}
    return table, np.asarray(rows.drop_duplicates("process")["load_before"], float)


@dataclass(frozen=True)
class TimingRates:
    """How often a comparison of times says what."""

    regression: Rate
    undecided: float
    """Share of comparisons with an invalid or inconclusive ratio and no regression."""


def timing_rates(
    tables: Sequence[Array], *, processes: int, margin: float, error: float, tests: int, seed: int = 0
) -> TimingRates:
    """Comparisons of ``processes`` processes each, formed by resampling those that were measured.

    Args:
        tables: the log ratios of the gated ratios that are judged together, over the same processes.
        tests: how many ratios share the error.
    """
    rng = np.random.default_rng(seed)
    data = np.stack(tables)
    hits, undecided = _timing_hits(data, DRAWS // 4, processes, margin, error, tests, rng)
    resampled = []
    for _ in range(RESAMPLES // 4):
        population = data[:, rng.integers(0, data.shape[1], data.shape[1])]
        resampled.append(_timing_hits(population, 500, processes, margin, error, tests, rng)[0].mean())
    return TimingRates(rate_of(hits, np.array(resampled)), float(undecided.mean()))


def _timing_hits(
    data: Array, draws: int, processes: int, margin: float, error: float, tests: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    drawn = rng.integers(0, data.shape[1], size=(draws, processes))
    taken = data[:, drawn]
    there = ~np.isnan(taken)
    n = there.sum(axis=2)
    valid = n >= MIN_PROCESSES
    safe = np.maximum(n, 2)
    mean = np.where(there, taken, 0.0).sum(axis=2) / safe
    variance = np.where(there, (taken - mean[..., None]) ** 2, 0.0).sum(axis=2) / (safe - 1)
    spread = np.sqrt(np.maximum(variance, 1e-300) / safe)
    worse = valid & (stdtr(safe - 1, -(mean - math.log1p(margin)) / spread) < error / tests)
    fine = valid & (stdtr(safe - 1, (mean - math.log1p(margin)) / spread) < 0.05)
    hits = worse.any(axis=0)
    return hits, ~hits & (~fine).any(axis=0)

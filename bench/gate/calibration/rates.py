"""From collected data to rates: how often the gate cries wolf, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr
from scipy.stats import binomtest

from bench.base.errors import UserError
from bench.experiments.gate import Gate, PriorRule
from bench.gate.calibration.quality import BOUND, METRICS, WORKLOADS, Variant, bases
from bench.gate.calibration.quality import COLUMNS as QUALITY_COLUMNS
from bench.gate.calibration.rows import RESTORE, read_rows
from bench.gate.calibration.timing import COLUMNS as TIMING_COLUMNS
from bench.gate.timing import MIN_PROCESSES
from bench.statistics import fit_prior
from bench.statistics.components import CALIBRATE, DEGREES
from bench.tasks import quantity_of
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
    return [Change(workload, base, head) for workload in WORKLOADS for head, base in bases().items()]


def gated(change: Change, gate: Gate) -> bool:
    """Whether the noisy metrics of the changed cell are gated."""
    return any(
        (rule.workload, rule.strategy, rule.level) == (change.workload, change.base.strategy, change.base.sparsity)
        and rule.metrics != ()
        for rule in gate.cells
    )


@dataclass(frozen=True)
class Network:
    """The collected numbers of one network; arrays are ``(seeds, metrics)``."""

    logs: Array
    own: Array
    """Variance of each logarithm from its images."""
    pair: Array
    """Of its difference from the network that it is a change of, on common images; NaN: it is a change of none."""
    bound: Array
    """``(seeds, 3)``: the number less its bias, and the variances as above."""
    varies: frozenset[str]
    """What it draws beside evaluation inputs."""


Quality = dict[str, dict[str, Network]]
"""Workload -> label of the network."""


def read_quality(path: Path) -> Quality:
    """The collected numbers; only seeds that every workload has."""
    rows = read_rows(path, QUALITY_COLUMNS)
    whole = rows.groupby("seed")["workload"].nunique() == len(WORKLOADS)
    rows = rows[rows["seed"].map(whole).astype(bool)]
    return {
        workload: {
            str(label): _network(group.sort_values("seed"))
            for label, group in rows[rows["workload"] == workload].groupby("variant", sort=False)
        }
        for workload in WORKLOADS
    }


def _network(rows: pd.DataFrame) -> Network:
    own, pair = (np.asarray(rows[[f"{m} {which}" for m in METRICS]], float) for which in ("own", "pair"))
    bound = np.asarray(rows[[BOUND, f"{BOUND} own", f"{BOUND} pair"]], float)
    varies = frozenset(str(rows["varies"].iloc[0]).split("+")) - {"eval"}
    return Network(np.log(np.asarray(rows[list(METRICS)], float)), own, pair, bound, varies)


Rule = Literal["images", "spread"]
"""``spread``: what stands where a side has kept no contributions of its images."""

SIGNS = np.array([quantity_of(metric).sign for metric in METRICS])


@dataclass(frozen=True)
class Pairs:
    """BASE against HEAD, seed by seed, as they are tested; arrays are ``(seeds, metrics)``, positive is worse.

    By images, the first metric of a cell that draws no network is tested by HEAD less (1 + margin) BASE; all else by
    the logarithm of HEAD / BASE less that of the margin.
    """

    tested: Array
    images: Array
    """Variance of ``tested`` from the images."""
    varies: frozenset[str]
    margin: Array
    """``(metrics,)``: how much of ``tested`` is the margin."""

    def moved(self, truth: float | None) -> Pairs:
        """The same with so many margins as the mean loss; as it is for None."""
        if truth is None:
            return self
        return replace(self, tested=self.tested - self.tested.mean(axis=0) + (truth - 1) * self.margin)


def logarithms(quality: Quality, change: Change) -> Array:
    """log HEAD - log BASE, ``(seeds, metrics)``, turned so that positive is worse."""
    table = quality[change.workload]
    return np.asarray((table[change.head.label].logs - table[change.base.label].logs) * SIGNS)


def difference(quality: Quality, change: Change, margins: Mapping[str, float], rule: Rule = "images") -> Pairs:
    """HEAD against BASE."""
    table = quality[change.workload]
    head, base = table[change.head.label], table[change.base.label]
    limits = np.array([math.log1p(margins[m]) for m in METRICS])
    varies = head.varies | base.varies
    tested, images = logarithms(quality, change) - limits, head.pair.copy()
    if rule == "images" and varies <= {CALIBRATE}:
        # var(h - k b) = k var(h - b) - (k - 1) var(h) + k (k - 1) var(b)
        k = 1 + margins[METRICS[0]]
        values = np.exp(head.logs[:, 0]), np.exp(base.logs[:, 0])
        tested[:, 0] = values[0] - k * values[1]
        images[:, 0] = k * head.bound[:, 2] - (k - 1) * head.bound[:, 1] + k * (k - 1) * base.bound[:, 1]
        limits[0] = (k - 1) * values[1].mean()
    return Pairs(tested, images, varies, limits)


def correlation(quality: Quality, change: Change) -> Array:
    """Of BASE and HEAD over the seeds, one for each metric."""
    table = quality[change.workload]
    head, base = table[change.head.label].logs, table[change.base.label].logs
    return np.array([np.corrcoef(base[:, i], head[:, i])[0, 1] for i in range(len(METRICS))])


def rules_of(quality: Quality, which: Sequence[Change], margins: Mapping[str, float]) -> dict[str, PriorRule]:
    """What all real changes together say of the variance of a difference, for each metric.

    The excess is worth no more than the variance of one change over all seeds: the changes share them.
    """
    degrees = len(logarithms(quality, which[0])) - 1
    found = {}
    for i, metric in enumerate(METRICS):
        spread = fit_prior([float(logarithms(quality, c)[:, i].var(ddof=1)) for c in which], degrees)
        pairs = [difference(quality, change, margins) for change in which]
        ratios = [float(p.tested[:, i].var(ddof=1) / p.images[:, i].mean()) for p in pairs if p.varies == {CALIBRATE}]
        excess = fit_prior(ratios, degrees, (DEGREES[0], max(DEGREES[1], float(degrees))))
        found[metric] = PriorRule(
            sd=spread.variance**0.5, degrees=spread.degrees, excess=excess.variance, excess_degrees=excess.degrees
        )
    return found


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


def seed_weights(drawn: NDArray[np.int64], seeds: int, rng: np.random.Generator) -> Array:
    """For each resampling of the seeds, the share of each drawn set: ``(RESAMPLES, DRAWS)``, rows sum to 1."""
    counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    weights = np.ones((RESAMPLES, len(drawn)))
    for column in drawn.T:
        weights *= counts[:, column]
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0))


@lru_cache(maxsize=2)
def _runs(seeds: int, of_each: int, draws: int, resamples: int, seed: int) -> tuple[NDArray[np.int64], Array]:
    """`draws` sets of ``of_each`` different seeds, and their `seed_weights`; the same for every rate of a page."""
    del resamples
    rng = np.random.default_rng(seed)
    drawn = np.argsort(rng.random((draws, seeds)), axis=1)[:, :of_each]
    return drawn, seed_weights(drawn, seeds, rng)


def p_values(pairs: Pairs, metric: int, drawn: NDArray[np.int64], prior: PriorRule, rule: Rule) -> Array:
    """The p-value of "worse by more than the margin" in every draw, as `bench.gate.noisy` has it, in bulk."""
    taken = pairs.tested[drawn, metric]
    n = drawn.shape[1]
    own, v = taken.var(axis=1, ddof=1), pairs.images[drawn, metric].mean(axis=1)
    if rule == "images" and not pairs.varies:
        return np.asarray(ndtr(-taken.mean(axis=1) / np.sqrt(v / n)))
    if rule == "images" and pairs.varies == {CALIBRATE}:
        degrees = prior.excess_degrees + n - 1
        variance = v * np.maximum(1, (prior.excess_degrees * prior.excess + (n - 1) * own / v) / degrees)
    else:
        degrees = prior.degrees + n - 1
        variance = (prior.degrees * prior.sd**2 + (n - 1) * own) / degrees
        variance = np.maximum(v, variance) if rule == "images" else variance
    return np.asarray(stdtr(degrees, -taken.mean(axis=1) / np.sqrt(variance / n)))


@dataclass(frozen=True)
class QualityRules:
    """What of ``[gate]`` the rates depend on."""

    priors: dict[str, PriorRule]
    margins: dict[str, float]
    error: float
    rule: Rule = "images"


def found_in_run(
    quality: Quality, which: Sequence[Change], rules: QualityRules, *, truth: float | None = None, seed: int = 0
) -> tuple[Rate, list[Rate]]:
    """How often a run of three seeds, in which all of ``which`` happened at once, is called a regression.

    Holm's procedure rejects something exactly where the smallest p-value is below error / tests, so that is what a
    run's verdict hangs on. For a single cell the same level is used: what it is tested at where all cells changed.

    Args:
        truth: the differences are moved to this share of the margin, so that no more than it is lost, and every call
            is a false alarm: 0, nothing is worse; 1, the worst that is none. None: as they are.

    Returns:
        The rate of the run, and those of the cells (any of its metrics).
    """
    seeds = len(next(iter(quality[which[0].workload].values())).logs)
    drawn, weights = _runs(seeds, SEEDS_OF_A_RUN, DRAWS, RESAMPLES, seed)
    pairs = [difference(quality, change, rules.margins, rules.rule).moved(truth) for change in which]
    cells = [_found(one, drawn, rules, len(which)) for one in pairs]
    run = np.any(cells, axis=0)
    return rate_of(run, weights @ run), [rate_of(cell, weights @ cell) for cell in cells]


def _found(pairs: Pairs, drawn: NDArray[np.int64], rules: QualityRules, cells: int) -> NDArray[np.bool_]:
    """In which draws any metric of a cell is found, where so many cells share the error."""
    p = [p_values(pairs, i, drawn, rules.priors[m], rules.rule) for i, m in enumerate(METRICS)]
    return np.asarray(np.minimum(*p) < rules.error / (cells * len(METRICS)))


def unpaired(quality: Quality, workload: str, rules: QualityRules, *, truth: float, seed: int = 0) -> tuple[Rate, int]:
    """How often equal networks on other inputs are called a regression, by what their images contribute.

    Every network whose noise the images and the calibration are: BASE is three seeds of it, HEAD three others, and
    HEAD's numbers are worse by ``truth`` times the margin. All of them share the error.

    Returns:
        The rate, and of how many networks.
    """
    networks = [n for n in quality[workload].values() if n.varies <= {CALIBRATE}]
    drawn, weights = _runs(len(networks[0].logs), 2 * SEEDS_OF_A_RUN, DRAWS, RESAMPLES, seed)
    base, head = drawn[:, :SEEDS_OF_A_RUN], drawn[:, SEEDS_OF_A_RUN:]
    hits = np.zeros(DRAWS, bool)
    for one in networks:
        # A seed of HEAD less one of BASE: as many rows as there are draws times seeds, each drawn once.
        pairs = _on_other_inputs(one, base.ravel(), head.ravel(), rules.margins, truth)
        rows = np.arange(base.size).reshape(DRAWS, SEEDS_OF_A_RUN)
        hits |= _found(pairs, rows, rules, len(networks))
    return rate_of(hits, weights @ hits), len(networks)


def _on_other_inputs(
    one: Network, base: NDArray[np.int64], head: NDArray[np.int64], margins: Mapping[str, float], truth: float
) -> Pairs:
    """Seeds ``head`` of a network, made worse by ``truth`` margins, against its seeds ``base``."""
    limits = np.array([math.log1p(margins[m]) for m in METRICS])
    tested = (one.logs[head] - one.logs[base]) * SIGNS + (truth - 1) * limits
    images = one.own[head] + one.own[base]
    k, worse = 1 + margins[METRICS[0]], 1 + truth * margins[METRICS[0]]
    values, own = np.exp(one.logs[:, 0]), one.bound[:, 1]
    tested[:, 0] = worse * values[head] - k * values[base]
    images[:, 0] = worse**2 * own[head] + k**2 * own[base]
    return Pairs(tested, images, one.varies, limits)


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

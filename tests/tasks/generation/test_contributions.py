"""What each image contributes: against numerical derivatives, and against the spread over new images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.tasks.generation.contributions import of_kernel, of_last, of_log_score, of_share
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian, fit
from bench.tasks.generation.influence import frechet_influence
from bench.tasks.generation.metrics import METRICS
from bench.tasks.generation.neighbours import membership
from bench.tasks.generation.quality import Judged, Reference

Array = NDArray[np.float64]
WIDTH = 5
STEP = 1e-5


def features(seed: int, count: int, shift: float = 0.0) -> Array:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(WIDTH, WIDTH))
    return rng.normal(size=(count, WIDTH)) @ mixing * (1 + shift) + shift


REAL = fit(features(0, 4_000))


def of_frechet(made: Array, real: Gaussian) -> Array:
    """Of the distance with the covariance that divides by N: then a weight on an image is a share of it."""
    return frechet_influence(made, weighted(made, np.ones(len(made))), real).contributions.linear


def weighted(x: Array, weights: Array) -> Gaussian:
    shares = weights / weights.sum()
    mean = shares @ x
    return Gaussian(mean, (x - mean).T @ ((x - mean) * shares[:, None]), len(x))


def derivative(value, count: int, index: int) -> float:  # type: ignore[no-untyped-def]
    """How ``value(weights)`` changes when one of ``count`` equal weights grows, times their number."""
    more, less = np.ones(count), np.ones(count)
    more[index] += STEP
    less[index] -= STEP
    return float(count * (value(more) - value(less)) / (2 * STEP))


@pytest.mark.parametrize("shift", [0.05, 0.6])
def test_that_to_the_frechet_distance_is_its_derivative(shift: float) -> None:
    made = features(1, 60, shift)
    found = of_frechet(made, REAL)
    assert found.mean() == pytest.approx(0, abs=1e-9)
    for index in (0, 17, 59):
        numeric = derivative(lambda w: frechet_distance(REAL, weighted(made, w)), len(made), index)
        assert found[index] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_that_to_the_log_score_is_its_derivative() -> None:
    logits = np.random.default_rng(2).normal(size=(40, 4)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    def log_score(weights: Array) -> float:
        share = weights / weights.sum()
        return float(share @ (shares * (np.log(shares) - np.log(share @ shares))).sum(1))

    found = of_log_score(logits)
    for index in (0, 13, 39):
        assert found[index] == pytest.approx(derivative(log_score, len(logits), index), rel=1e-4, abs=1e-6)


def test_that_to_the_kernel_distance_is_its_derivative() -> None:
    made, real = features(3, 50, 0.3), features(4, 80)

    def kernel(x: Array, y: Array) -> Array:
        return np.asarray((x @ y.T / WIDTH + 1) ** 3)

    def distance(weights: Array) -> float:
        """The U-statistic with weights: pairs of different images."""
        own = kernel(made, made)
        pairs = np.outer(weights, weights)
        np.fill_diagonal(pairs, 0)
        share = weights / weights.sum()
        return float((own * pairs).sum() / pairs.sum() - 2 * (share @ kernel(made, real)).mean())

    found = of_kernel(made, real)
    for index in (0, 20, 49):
        assert found[index] == pytest.approx(derivative(distance, len(made), index), rel=0.05, abs=0.05)


@pytest.mark.parametrize("shift", [0.3, 0.8])
def test_the_standard_error_is_the_spread_over_new_images(shift: float) -> None:
    """Well above the floor, where the quadratic term is small; 60 draws know a spread to a tenth."""
    count, seeds = 500, range(100, 160)
    draws = [features(seed, count, shift) for seed in seeds]
    spread = np.std([frechet_distance(REAL, fit(made)) for made in draws], ddof=1)
    predicted = np.mean([of_frechet(made, REAL).std(ddof=1) / np.sqrt(count) for made in draws])
    assert 0.75 < predicted / spread < 1.3


def test_pairing_leaves_the_error_of_what_differs() -> None:
    """Two networks on common inputs that hardly differ: the error of the difference is a fraction of either's."""
    made = features(5, 800, 0.5)
    other = made + 0.01 * features(6, 800)
    one, two = of_frechet(made, REAL), of_frechet(other, REAL)
    assert (one - two).std() < 0.2 * one.std()


def test_too_few_images_for_a_full_rank_still_have_contributions() -> None:
    found = of_frechet(features(8, WIDTH - 1, 0.4), REAL)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(0, abs=1e-9)


def test_a_share_has_the_error_of_a_share() -> None:
    inside = np.array([True] * 30 + [False] * 70)
    assert of_share(inside).std() / np.sqrt(100) == pytest.approx(np.sqrt(0.3 * 0.7 / 100))


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_centred_contributions_for_its_columns(name: str) -> None:
    made, real = features(9, 120, 0.2).astype(np.float32), features(10, 90).astype(np.float32)
    logits = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    held_out = fit(real[:40])
    ref = Reference(fit(real), held_out, held_out, real)
    metric = METRICS[name]
    found = metric.compute(Judged(made, logits), ref)
    own = {"fid": {"fid-inf"}}.get(name, set(found.values))
    assert set(found.contributions) == own and list(found.values) == [column.name for column in metric.columns]
    images = (
        90 if name == "mind" else 120
    )  # sorted projections are compared one by one: of as many as there are on both sides
    for column, each in found.contributions.items():
        assert len(each.linear) == each.count == images, column
        assert each.linear.mean() == pytest.approx(0, abs=1e-6)


def test_an_image_contributes_to_recall_and_coverage_what_nobody_else_reaches() -> None:
    """Against leaving each image out in turn, balls of real images as they are; coverage by hand."""
    made, real = features(11, 60, 0.3), features(12, 80)
    found = membership(made, real)
    assert found is not None
    whole = found.covered.mean()
    for index in (0, 13, 59):
        left = membership(np.delete(made, index, axis=0), real)
        assert left is not None
        assert found.covering[index] / len(real) == pytest.approx(whole - left.covered.mean())
    assert found.recalling.sum() <= found.recalled.sum() and found.covering.sum() <= found.covered.sum()


@pytest.mark.parametrize("name", ["recall", "coverage"])
def test_the_error_of_recall_and_coverage_is_not_below_the_spread_over_new_images(name: str) -> None:
    """Too wide where nearly all is recalled: a new image also makes the balls of its neighbours smaller."""
    real = features(20, 300)
    values, errors = [], []
    for seed in range(60):
        found = membership(features(1_000 + seed, 300, 0.5), real)
        assert found is not None
        reached, alone = (found.recalled, found.recalling) if name == "recall" else (found.covered, found.covering)
        values.append(reached.mean())
        errors.append(of_last(alone, len(real)).std(ddof=1) / np.sqrt(300))
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.std(values, ddof=1) < 2.5

"""The Vendi score: known counts, its authors' package, the derivative, the jackknife and the spread."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.tasks.generation.gaussian import fit
from bench.tasks.generation.metrics import Terms
from bench.tasks.generation.quality import Judged, Reference
from bench.tasks.generation.vendi import VENDI, log_vendi

Array = NDArray[np.float64]


def features(seed: int, count: int, width: int = 5) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ np.diag(1.0 + np.arange(width)) + 1


def vendi(x: Array) -> float:
    return float(np.exp(log_vendi(x)[0]))


def test_equal_images_are_one_and_unlike_ones_are_as_many() -> None:
    assert vendi(np.ones((7, 3))) == pytest.approx(1)
    assert vendi(np.eye(4)) == pytest.approx(4)
    assert vendi(np.eye(4).repeat(5, 0)) == pytest.approx(4)
    shares = np.array([3, 1])
    entropy = -(shares / 4 * np.log(shares / 4)).sum()
    assert vendi(np.eye(2).repeat(shares, 0)) == pytest.approx(np.exp(entropy))


@pytest.mark.parametrize("width", [5, 60])
def test_it_is_the_entropy_of_the_eigenvalues_of_the_cosines(width: int) -> None:
    x = features(0, 30, width)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / 30)
    values = values[values > 1e-14]
    assert vendi(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_it_is_what_its_authors_package_gives() -> None:
    """vendi_score 0.0.3, score_X and score_dual."""
    rng = np.random.RandomState(0)
    assert vendi(rng.randn(30, 5)) == pytest.approx(4.670956354709173, rel=1e-12)


def test_neither_order_nor_length_matters() -> None:
    x = features(1, 40)
    mixed = np.random.default_rng(0).permutation(40)
    assert vendi(x[mixed] * np.random.default_rng(1).uniform(0.1, 9, (40, 1))) == pytest.approx(vendi(x))


@pytest.mark.parametrize("width", [4, 40])
def test_what_an_image_contributes_is_the_derivative(width: int) -> None:
    x = features(2, 25, width)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)

    def score(weights: Array) -> float:
        roots = np.sqrt(weights / weights.sum())[:, None] * unit
        values = np.linalg.eigvalsh(roots @ roots.T)
        values = values[values > 1e-14]
        return float(-(values * np.log(values)).sum())

    found = log_vendi(x)[1]
    assert found.mean() == pytest.approx(0, abs=1e-9)
    for index in (0, 11, 24):
        more, less = np.ones(25), np.ones(25)
        more[index] += 1e-5
        less[index] -= 1e-5
        assert found[index] == pytest.approx(25 * (score(more) - score(less)) / 2e-5, rel=1e-3, abs=1e-3)


def test_the_error_is_that_of_the_jackknife_and_the_spread() -> None:
    count = 150
    x = features(3, count)
    without = np.array([log_vendi(np.delete(x, i, 0))[0] for i in range(count)])
    jackknife = np.sqrt((count - 1) * without.var())
    mine = log_vendi(x)[1].std(ddof=1) / np.sqrt(count)
    assert mine == pytest.approx(jackknife, rel=0.05)
    draws = [log_vendi(features(seed, count)) for seed in range(100, 220)]
    spread = np.std([score for score, _ in draws], ddof=1)
    predicted = np.sqrt(np.mean([each.var(ddof=1) for _, each in draws]) / count)
    assert 0.85 < predicted / spread < 1.15


def test_halves_of_one_set_are_equally_diverse() -> None:
    z = []
    for seed in range(300, 400):
        one, two = (log_vendi(half) for half in np.split(features(seed, 300), 2))
        z.append((one[0] - two[0]) / np.sqrt((one[1].var(ddof=1) + two[1].var(ddof=1)) / 150))
    assert 0.88 < np.mean(np.abs(z) < 1.96) <= 1


def test_as_a_metric_it_is_the_score_with_contributions_to_its_logarithm() -> None:
    x = features(4, 30).astype(np.float32)
    found = VENDI.compute(Judged(x, None), Reference(fit(x), None, None))
    assert found.values == {"vendi": pytest.approx(vendi(x.astype(np.float64)))}
    np.testing.assert_allclose(found.contributions["vendi"].linear, log_vendi(x)[1])
    assert VENDI.version(Terms("lenet-12ab", 30, "digits", 0, False)) == "vendi-cosine-1/lenet-12ab/n30-uint8"


def test_black_features_have_no_direction_and_do_no_harm() -> None:
    score, found = log_vendi(np.zeros((6, 3)))
    assert score == 0 and not found.any()

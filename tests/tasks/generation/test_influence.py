"""The Frechet distance of few images: its bias and its error, against draws, closed forms and pooled images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.statistics import difference
from bench.tasks.generation import influence
from bench.tasks.generation.contributions import KEPT
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian, fit
from bench.tasks.generation.influence import frechet_influence

Array = NDArray[np.float64]
WIDTH = 8


def standard(width: int) -> Gaussian:
    return Gaussian(np.zeros(width), np.eye(width), 10**6)


def normal(seed: int, count: int, width: int = WIDTH, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, width)) + shift


def test_the_bias_of_standard_normal_features_is_its_closed_form() -> None:
    """``[d + (2 d + d (d - 1)) / 4] / N``: every s is 1, every weight 1/2, Var(y_i y_j) 1 or 2."""
    count = 20_000
    found = frechet_influence(normal(0, count), fit(normal(0, count)), standard(WIDTH))
    expected = (WIDTH + (2 * WIDTH + WIDTH * (WIDTH - 1)) / 4) / count
    assert found.bias == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_less_its_bias_the_distance_is_that_of_any_number(shift: float) -> None:
    """Over 300 draws of 100 images; the true distance is that of the means."""
    real, truth = standard(WIDTH), WIDTH * shift**2
    draws = [normal(seed, 100, shift=shift) for seed in range(300)]
    plain = np.array([frechet_distance(real, fit(x)) for x in draws])
    found = [frechet_influence(x, fit(x), real) for x in draws]
    less = plain - np.array([each.bias for each in found])
    error = less.std() / np.sqrt(len(draws))
    assert plain.mean() - truth > 10 * error  # the bias is there
    assert abs(less.mean() - truth) < 3 * error + 0.1 * (plain.mean() - truth)
    predicted = np.sqrt(np.mean([each.contributions.variance for each in found]))
    assert predicted / less.std() == pytest.approx(1, abs=0.15)


def test_at_the_floor_the_first_order_alone_is_far_too_wide() -> None:
    real = standard(WIDTH)
    draws = [normal(seed, 200) for seed in range(200)]
    spread = np.std([frechet_distance(real, fit(x)) for x in draws])
    found = [frechet_influence(x, fit(x), real).contributions for x in draws]
    plain = np.sqrt(np.mean([each.linear.var(ddof=1) / 200 for each in found]))
    assert plain / spread > 1.4
    assert np.sqrt(np.mean([each.variance for each in found])) / spread == pytest.approx(1, abs=0.25)


def test_a_pair_near_the_floor_has_the_error_of_its_difference() -> None:
    """Two generators that are nearly the same on common inputs."""
    real = standard(WIDTH)
    distances, variances = [], []
    for seed in range(150):
        one = normal(seed, 200)
        other = one + 0.15 * normal(10_000 + seed, 200)
        first, second = (frechet_influence(x, fit(x), real) for x in (one, other))
        distances.append(
            frechet_distance(real, fit(one)) - first.bias - frechet_distance(real, fit(other)) + second.bias
        )
        pair = difference(first.contributions, second.contributions)
        assert pair is not None
        variances.append(pair.variance)
    assert np.sqrt(np.mean(variances)) / np.std(distances) == pytest.approx(1, abs=0.25)


def test_the_same_network_differs_from_itself_by_nothing() -> None:
    made = normal(3, 100)
    found = frechet_influence(made, fit(made), standard(WIDTH)).contributions
    pair = difference(found, found)
    assert pair is not None and pair.variance == 0


def test_other_numbers_of_images_are_no_pair() -> None:
    one, other = (frechet_influence(x, fit(x), standard(WIDTH)).contributions for x in (normal(0, 90), normal(0, 91)))
    assert difference(one, other) is None


def test_of_many_images_the_first_are_looked_at() -> None:
    count = KEPT + 500
    made = normal(4, count, 3, 0.5)
    found = frechet_influence(made, fit(made), standard(3)).contributions
    assert found.count == count and len(found.linear) == len(found.noise) == KEPT
    spread = np.std([frechet_distance(standard(3), fit(normal(s, count, 3, 0.5))) for s in range(60)])
    assert np.sqrt(found.variance) / spread == pytest.approx(1, abs=0.25)


def test_without_a_full_rank_there_is_still_a_number() -> None:
    made = normal(5, WIDTH - 2, shift=0.5)
    found = frechet_influence(made, fit(made), standard(WIDTH))
    assert np.isfinite(found.bias) and np.isfinite(found.contributions.variance)
    assert found.contributions.pairs.size == 0  # fewer images than groups


def test_the_groups_see_the_variance_of_the_kernel() -> None:
    """``E h^2`` of standard normal features: ``d + d / 4 + d (d - 1) / 8``."""
    count = 4_000
    found = frechet_influence(normal(6, count), fit(normal(6, count)), standard(WIDTH)).contributions
    expected = WIDTH + WIDTH / 4 + WIDTH * (WIDTH - 1) / 8
    assert np.mean(found.pairs**2) == pytest.approx(expected, rel=0.3)
    assert found.pairs.size == influence.GROUPS * (influence.GROUPS - 1) // 2

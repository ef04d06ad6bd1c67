"""The Gaussian-kernel distance: closed form, properties, and its error against the spread over new images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.statistics import difference
from bench.tasks.generation import cmmd
from bench.tasks.generation.cmmd import CMMD, SCALE, bandwidth, gaussian_distance
from bench.tasks.generation.gaussian import fit
from bench.tasks.generation.metrics import Terms
from bench.tasks.generation.quality import Judged, Reference

Array = NDArray[np.float64]
WIDTH = 6


def features(seed: int, count: int, shift: float = 0.0, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)) * scale + shift


def by_hand(made: Array, real: Array, sigma: float) -> float:
    def kernel(x: Array, y: Array) -> Array:
        return np.asarray(np.exp(-((x[:, None] - y[None]) ** 2).sum(2) / (2 * sigma**2)))

    def unlike(x: Array) -> float:
        return float((kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1)))

    return SCALE * (unlike(made) + unlike(real) - 2 * float(kernel(made, real).mean()))


def closed_form(shift: float, scale: float, sigma: float) -> float:
    """Of N(shift, scale^2) and N(0, 1) in each coordinate."""

    def same(s: float) -> float:
        return float((sigma**2 / (sigma**2 + 2 * s**2)) ** (WIDTH / 2))

    total = sigma**2 + scale**2 + 1
    across = (sigma**2 / total) ** (WIDTH / 2) * np.exp(-WIDTH * shift**2 / (2 * total))
    return SCALE * (same(scale) + same(1.0) - 2 * float(across))


def test_it_is_the_mean_over_all_pairs_of_unlike_images() -> None:
    made, real = features(0, 23, 0.4), features(1, 31)
    assert gaussian_distance(made, real, 2.5).value == pytest.approx(by_hand(made, real, 2.5), rel=1e-9)


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 1.6), (0.3, 0.5)])
def test_of_gaussians_it_is_the_closed_form(shift: float, scale: float) -> None:
    found = [gaussian_distance(features(s, 500, shift, scale), features(s + 50, 500), 3.0).value for s in range(12)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(closed_form(shift, scale, 3.0), abs=4 * error)
    assert 4 * error < 0.25 * closed_form(shift, scale, 3.0)


def test_equal_sets_are_apart_by_what_an_image_would_add_to_itself() -> None:
    """Every image has itself across and not among its own: 2 (mean over unlike pairs - 1) / N, which ends at 0."""
    made = features(2, 40)
    kernel = np.exp(-((made[:, None] - made[None]) ** 2).sum(2) / 18)
    mean = (kernel.sum() - 40) / (40 * 39)
    assert gaussian_distance(made, made, 3.0).value == pytest.approx(SCALE * 2 * (mean - 1) / 40)
    assert abs(gaussian_distance(features(2, 2_000), features(2, 2_000), 3.0).value) < 1


def test_neither_order_nor_the_scale_of_the_features_matters() -> None:
    made, real = features(3, 60, 0.5), features(4, 80)
    value = gaussian_distance(made, real, bandwidth(real)).value
    mixed = np.random.default_rng(5).permutation(60)
    assert gaussian_distance(made[mixed], real, bandwidth(real)).value == pytest.approx(value)
    assert gaussian_distance(7 * made, 7 * real, bandwidth(7 * real)).value == pytest.approx(value)


def test_the_bandwidth_is_the_median_distance_of_the_first_real_images(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[0.0], [1.0], [10.0], [500.0]])
    monkeypatch.setattr(cmmd, "BANDWIDTH_IMAGES", 3)
    assert bandwidth(points) == 9  # of 1, 9 and 10


def test_images_beyond_the_most_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = features(6, 30, 0.5), features(7, 30)
    monkeypatch.setattr(cmmd, "MOST", 20)
    found = gaussian_distance(made, real, 2.0)
    assert found.value == pytest.approx(by_hand(made[:20], real[:20], 2.0))
    assert found.contributions.count == found.contributions.linear.size == 20


def test_parts_of_rows_give_what_all_rows_give(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = features(6, 30, 0.5), features(7, 30)
    whole = gaussian_distance(made, real, 2.0)
    monkeypatch.setattr(cmmd, "ROWS", 7)
    parts = gaussian_distance(made, real, 2.0)
    assert parts.value == pytest.approx(whole.value)
    np.testing.assert_allclose(parts.contributions.linear, whole.contributions.linear)


def test_what_an_image_contributes_is_the_derivative() -> None:
    made, real = features(8, 50, 0.4), features(9, 70)
    kernel = np.exp(-((made[:, None] - made[None]) ** 2).sum(2) / 8)
    across = np.exp(-((made[:, None] - real[None]) ** 2).sum(2) / 8).mean(1)

    def distance(weights: Array) -> float:
        pairs = np.outer(weights, weights)
        np.fill_diagonal(pairs, 0)
        return SCALE * float((kernel * pairs).sum() / pairs.sum() - 2 * weights @ across / weights.sum())

    found = gaussian_distance(made, real, 2.0).contributions.linear
    assert found.mean() == pytest.approx(0, abs=1e-9)
    for index in (0, 20, 49):
        more, less = np.ones(50), np.ones(50)
        more[index] += 1e-5
        less[index] -= 1e-5
        numeric = 50 * (distance(more) - distance(less)) / 2e-5
        assert found[index] == pytest.approx(numeric, rel=0.05, abs=2)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_the_error_is_the_spread_over_new_images(shift: float) -> None:
    """At the floor as well, where the first order alone is a third too large; and the interval covers the mean."""
    real, draws = features(10, 300), range(100, 190)
    found = [gaussian_distance(features(seed, 250, shift), real, 3.4) for seed in draws]
    values = np.array([each.value for each in found])
    errors = np.sqrt([each.contributions.variance for each in found])
    predicted = np.sqrt(np.mean([each.contributions.parts.estimate for each in found]))
    assert 0.85 < predicted / values.std(ddof=1) < 1.2
    assert np.mean(abs(values - values.mean()) < 1.96 * errors) > 0.87


def test_halves_of_one_set_are_not_told_apart() -> None:
    """The real side drawn too, whose error is not in the number's: the spread is larger by about the root of 2."""
    found = [gaussian_distance(x[:200], x[200:], 3.4) for x in (features(seed, 400) for seed in range(300, 360))]
    z = [each.value / np.sqrt(2 * each.contributions.variance) for each in found]
    assert abs(np.mean([each.value for each in found])) < 0.5
    assert np.mean(np.abs(z) < 1.96) > 0.88


def test_of_two_networks_on_common_inputs_only_what_differs_is_uncertain() -> None:
    made, real = features(11, 400, 0.5), features(12, 400)
    other = made + 0.01 * features(13, 400)
    one, two = (gaussian_distance(x, real, 3.4).contributions for x in (made, other))
    both = difference(one, two)
    assert both is not None and both.variance < 0.01 * one.variance


def test_without_a_scale_there_is_no_number() -> None:
    same = np.ones((10, WIDTH), np.float32)
    reference = Reference(fit(same), None, None, real=same)
    assert CMMD.compute(Judged(features(0, 20).astype(np.float32), None), reference).values == {"cmmd": None}
    assert CMMD.compute(Judged(same[:3], None), reference).values == {"cmmd": None}


def test_the_version_names_the_judge_the_reference_and_the_bandwidth() -> None:
    version = CMMD.version(Terms("lenet-12ab", 20_000, "digits-34cd", 4_000, False))
    reference = "ref-digits-34cd-first4000/at-most10000/sigma-median1000"
    assert version == f"gaussian-mmd2-x1000-unbiased-1/lenet-12ab/n20000-uint8/{reference}"


@pytest.mark.parametrize(("count", "sigma"), [(3, 1.0), (10, 0.0)])
def test_too_few_images_or_no_bandwidth_are_refused(count: int, sigma: float) -> None:
    with pytest.raises(ValueError, match="bandwidth"):
        gaussian_distance(features(0, count), features(1, 10), sigma)

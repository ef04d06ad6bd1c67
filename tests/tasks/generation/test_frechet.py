"""The Frechet distance against its closed form and against three other implementations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from bench.tasks.generation.frechet import frechet_distance, low_rank
from bench.tasks.generation.gaussian import Array, Gaussian, fit
from tests.helpers.properties import examples


def gaussian(mean: list[float], covariance: Array) -> Gaussian:
    return Gaussian(np.array(mean), np.asarray(covariance, dtype=np.float64), 100)


def features(seed: int, rows: int = 400, width: int = 12) -> Array:
    """Correlated features with full-rank covariance, another distribution for each seed."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


def test_distance_of_equal_covariances_is_the_squared_distance_of_the_means() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    assert frechet_distance(gaussian([0, 0], covariance), gaussian([3, 4], covariance)) == pytest.approx(25)


def test_distance_of_isotropic_gaussians_is_d_times_the_squared_difference_of_deviations() -> None:
    narrow, wide = gaussian([0] * 5, 4 * np.eye(5)), gaussian([0] * 5, 9 * np.eye(5))
    assert frechet_distance(narrow, wide) == pytest.approx(5 * (3 - 2) ** 2)


def test_distance_of_commuting_covariances_is_a_sum_over_the_shared_axes() -> None:
    axes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    a, b = np.array([1.0, 4, 9, 16]), np.array([25.0, 1, 4, 0.25])
    expected = ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    first, second = gaussian([0] * 4, (axes * a) @ axes.T), gaussian([0] * 4, (axes * b) @ axes.T)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_distance_of_two_general_covariances_of_two_dimensions() -> None:
    # In two dimensions tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)).
    a, b = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    cross = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = 1 + np.trace(a) + np.trace(b) - 2 * cross
    assert frechet_distance(gaussian([0, 0], a), gaussian([1, 0], b)) == pytest.approx(expected, rel=1e-12)


def torch_fidelity_distance(a: Array, b: Array) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_fidelity import metric_fid
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    return float(metric_fid.fid_statistics_to_metric(*statistics, verbose=False)[metric_fid.KEY_METRIC_FID])


def moments(a: Array, b: Array) -> list[Any]:
    return [a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)]


def pytorch_fid_distance(a: Array, b: Array) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_fid.fid_score import calculate_frechet_distance

        return float(calculate_frechet_distance(*moments(a, b)))


def clean_fid_distance(a: Array, b: Array) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanfid.fid import frechet_distance as clean_distance

        return float(clean_distance(*moments(a, b)))


@pytest.mark.parametrize(
    ("package", "other"),
    [
        ("torch_fidelity", torch_fidelity_distance),
        ("pytorch_fid", pytorch_fid_distance),
        ("cleanfid", clean_fid_distance),
    ],
)
def test_distance_agrees_with(package: str, other: Any) -> None:
    pytest.importorskip(package)
    a, b = features(1), features(2, rows=300)
    assert frechet_distance(fit(a), fit(b)) == pytest.approx(other(a, b), rel=1e-9)


@examples(25)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_distance_is_symmetric_and_not_negative(first: int, second: int) -> None:
    a, b = fit(features(first, 40, 4)), fit(features(second, 40, 4))
    forth, back = frechet_distance(a, b), frechet_distance(b, a)
    assert forth >= 0
    assert forth == pytest.approx(back, rel=1e-9, abs=1e-9)


@examples(25)
@given(st.integers(0, 10_000))
@example(2258)
def test_distance_to_itself_is_zero(seed: int) -> None:
    a = fit(features(seed, 40, 4))
    # Eigenvalues of the product are off by eps |A|^2; the root of one that is next to nothing by sqrt(eps) |A|.
    rounding = 4 * np.sqrt(np.finfo(np.float64).eps) * np.trace(a.covariance)
    assert frechet_distance(a, a) == pytest.approx(0, abs=rounding)


@examples(25)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_distance_grows_with_the_square_of_the_features_scale(seed: int, scale: float) -> None:
    a, b = features(seed, 40, 4), features(seed + 1, 40, 4)
    scaled = frechet_distance(fit(scale * a), fit(scale * b))
    assert scaled == pytest.approx(scale**2 * frechet_distance(fit(a), fit(b)), rel=1e-8)


def test_constant_features_are_at_the_distance_of_means_plus_the_others_variance() -> None:
    constant, spread = fit(np.ones((50, 3))), gaussian([1, 1, 1], np.diag([1.0, 2.0, 3.0]))
    assert frechet_distance(constant, spread) == pytest.approx(6)


def test_fit_takes_float32_features_in_double_precision() -> None:
    offset = (features(3) + 1_000).astype(np.float32)
    assert fit(offset).covariance == pytest.approx(np.cov(offset.astype(np.float64), rowvar=False), rel=1e-12)


def test_gaussians_of_different_width_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_distance(gaussian([0], np.eye(1)), gaussian([0, 0], np.eye(2)))


@pytest.mark.parametrize("shape", [(1, 3), (5,), (2, 3, 4)])
def test_fit_refuses_what_is_no_matrix_of_at_least_two_rows(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        fit(np.zeros(shape))


# Fewer images than dimensions


def exact_distance(a: Array, b: Array) -> float:
    """The distance between the Gaussians of two sets of features, to 60 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        means, covariances = [], []
        for rows in (a, b):
            x = mpmath.matrix(rows.tolist())
            mean = [mpmath.fsum(x[:, j]) / x.rows for j in range(x.cols)]
            centred = mpmath.matrix(x.rows, x.cols)
            for i in range(x.rows):
                for j in range(x.cols):
                    centred[i, j] = x[i, j] - mean[j]
            means.append(mean)
            covariances.append(centred.T * centred / (x.rows - 1))
        first, second = covariances
        values, vectors = mpmath.eigsy(first)
        scaled = vectors * mpmath.diag([mpmath.sqrt(max(value, 0)) for value in values]) * vectors.T
        product = scaled * second * scaled
        eigenvalues = mpmath.eigsy((product + product.T) / 2, eigvals_only=True)
        cross = mpmath.fsum(mpmath.sqrt(max(value, 0)) for value in eigenvalues)
        squared = mpmath.fsum((x - y) ** 2 for x, y in zip(*means, strict=True))
        total = mpmath.fsum(first[i, i] + second[i, i] for i in range(first.rows))
        return float(squared + total - 2 * cross)


def without_factor(thing: Gaussian) -> Gaussian:
    """The same Gaussian, so that the distance takes the full form."""
    return Gaussian(thing.mean, thing.covariance, thing.count)


RANKS = pytest.mark.parametrize(
    ("rows_a", "rows_b"), [(40, 4), (4, 40), (5, 4), (4, 5), (2, 2), (8, 8), (40, 8)], ids=lambda n: str(n)
)


@RANKS
def test_the_low_rank_form_agrees_with_sixty_digits(rows_a: int, rows_b: int) -> None:
    a, b = features(1, rows_a, 8), features(2, rows_b, 8)
    assert low_rank(fit(a), fit(b))
    assert frechet_distance(fit(a), fit(b)) == pytest.approx(exact_distance(a, b), rel=1e-6)


@RANKS
def test_the_full_form_agrees_with_the_low_rank_to_one_in_ten_thousand(rows_a: int, rows_b: int) -> None:
    a, b = fit(features(1, rows_a, 8)), fit(features(2, rows_b, 8))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(without_factor(a), without_factor(b)), rel=1e-4)


def test_the_low_rank_form_agrees_with_the_full_form_in_many_dimensions() -> None:
    rng = np.random.default_rng(0)
    spectrum = 0.98 ** np.arange(300)  # as steep as that of real features
    a, b = fit(rng.normal(size=(1_000, 300)) * spectrum), fit(rng.normal(size=(60, 300)) * spectrum + 0.1)
    assert low_rank(a, b)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(a, without_factor(b)), rel=1e-4)


def test_as_many_images_as_dimensions_and_one_have_full_rank() -> None:
    assert not low_rank(fit(features(1, 9, 8)), fit(features(2, 9, 8)))
    assert low_rank(fit(features(1, 9, 8)), fit(features(2, 8, 8)))

"""Estimates, moderated variances and priors against hand-worked numbers, scipy, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import digamma

from bench.statistics import Estimate, Prior, fit_prior, holm, holm_levels, moderated, paired, trigamma_inverse, welch
from bench.statistics.estimates import MANY
from tests.helpers.numbers import close

SAMPLES = st.lists(st.floats(-3, 3), min_size=2, max_size=6)


def test_moderation_by_hand() -> None:
    # (4 x .09 + 2 x .03) / 6 = .07, with 6 degrees of freedom.
    assert moderated(0.03, 2, Prior(0.09, 4)) == (pytest.approx(0.07), 6)


def test_without_a_prior_a_variance_stays_as_it_is() -> None:
    assert moderated(0.03, 2, None) == (0.03, 2)


def test_a_paired_difference_by_hand() -> None:
    found = paired([1, 2, 3], [2, 4, 6], Prior(0.0, 2.0))  # differences 1, 2, 3: mean 2, variance 1
    assert found is not None
    assert (found.difference, found.degrees) == (2, 4)
    assert found.error == pytest.approx(math.sqrt(0.5 / 3))  # (2 x 0 + 2 x 1) / 4 = .5 over 3 pairs


def test_paired_without_a_prior_is_the_t_test_of_scipy() -> None:
    base, head = [1.0, 2.2, 2.9, 4.1], [1.5, 2.4, 3.7, 4.2]
    found = paired(base, head)
    assert found is not None
    expected = stats.ttest_rel(head, base, alternative="greater")
    assert found.p_above(0) == pytest.approx(expected.pvalue)
    shifted = stats.ttest_1samp(np.subtract(head, base) - 0.2, 0, alternative="greater")
    assert found.p_above(0.2) == pytest.approx(shifted.pvalue)
    assert found.lower(0.05) == pytest.approx(expected.confidence_interval(0.95).low)


def test_welch_is_the_test_of_scipy() -> None:
    base, head = [1.0, 2.2, 2.9, 4.1], [2.5, 2.4, 6.7]
    found = welch(base, head)
    assert found is not None
    expected = stats.ttest_ind(head, base, equal_var=False, alternative="greater")
    assert found.p_above(0) == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(expected.df)


@given(close(st.floats(-1e3, 1e3), 2, 5), close(st.floats(-1e3, 1e3), 2, 5))
@example([0.0, 1e-170], [0.0, 0.0])  # the square of their variance is below all floats
def test_the_degrees_of_welch_lie_between_those_of_one_sample_and_of_both(base: list[float], head: list[float]) -> None:
    found = welch(base, head)
    assert found is not None
    most = len(base) + len(head) - 2
    assert min(len(base), len(head)) - 1 <= found.degrees * (1 + 1e-12) and found.degrees <= most * (1 + 1e-12)
    assert 0 <= found.p_above(0.1) <= 1 and found.lower(0.05) <= found.difference <= found.upper(0.05)


@given(st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=5), st.integers(1, 20))
@example([0.1, 0.1], 3)
def test_a_prior_of_any_variances_is_a_positive_number(variances: list[float], degrees: int) -> None:
    found = fit_prior(variances, degrees)
    assert found.variance >= 0 and 0 < found.degrees <= MANY


@pytest.mark.parametrize("prior", [None, Prior(0.01, 4)])
def test_one_pair_needs_a_prior(prior: Prior | None) -> None:
    found = paired([1.0], [1.5], prior)
    assert (found is None) == (prior is None)
    if found and prior:
        assert (found.error, found.degrees) == (pytest.approx(0.1), 4)


@pytest.mark.parametrize(("base", "head"), [([], []), ([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0])])
def test_nothing_is_known_of_the_spread_of_one_value(base: list[float], head: list[float]) -> None:
    assert welch(base, head) is None


def test_no_spread_at_all_is_certainty() -> None:
    sure = Estimate(0.1, 0.0, 2)
    assert (sure.p_above(0.05), sure.p_above(0.1)) == (0.0, 1.0)
    assert sure.lower(0.001) == sure.upper(0.001) == 0.1


@given(SAMPLES, st.floats(-1, 1), st.floats(0.001, 0.4))
def test_a_lower_bound_above_the_margin_and_a_small_p_value_are_the_same(
    values: list[float], margin: float, error: float
) -> None:
    found = paired([0.0] * len(values), values, Prior(0.1, 3))
    assert found is not None
    if abs(found.p_above(margin) - error) > 1e-9:
        assert (found.lower(error) > margin) == (found.p_above(margin) < error)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_holms_rejections_are_those_of_the_adjusted_p_values(p_values: list[float], error: float) -> None:
    adjusted = holm(p_values)
    if all(abs(p - error) > 1e-12 for p in adjusted):
        assert [rejected for rejected, _ in holm_levels(p_values, error)] == [p < error for p in adjusted]


def test_holm_by_hand() -> None:
    # .001 < .05 / 3; .02 < .05 / 2; .06 is not below .05.
    found = holm_levels([0.02, 0.06, 0.001], 0.05)
    assert [rejected for rejected, _ in found] == [True, False, True]
    assert [level for _, level in found] == pytest.approx([0.025, 0.05, 0.05 / 3])
    # After the first that stays, nothing is rejected, and all are held against its level.
    assert [level for _, level in holm_levels([0.04, 0.03], 0.05)] == pytest.approx([0.025, 0.025])


@pytest.mark.parametrize("x", [0.05, 0.5, 1, 3, 40, 500])
def test_the_inverse_of_trigamma(x: float) -> None:
    from scipy.special import polygamma

    assert trigamma_inverse(float(polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_the_prior_is_found_again_in_simulated_variances() -> None:
    rng = np.random.default_rng(0)
    d0, s0, degrees, cells = 6.0, 0.04, 10, 4_000
    true = d0 * s0**2 / rng.chisquare(d0, cells)
    found = fit_prior(list(true * rng.chisquare(degrees, cells) / degrees), degrees)
    assert found.variance == pytest.approx(s0**2, rel=0.05)
    assert found.degrees == pytest.approx(d0, rel=0.1)


def test_equal_variances_make_a_certain_prior() -> None:
    rng = np.random.default_rng(1)
    found = fit_prior(list(0.01 * rng.chisquare(10, 50) / 10), 10)
    assert found.degrees > 30
    assert fit_prior([0.01, 0.01], 10).degrees == MANY
    assert found.variance == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("variances", [[], [0.1], [0.1, 0.0]])
def test_no_prior_from_nothing(variances: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two positive variances"):
        fit_prior(variances, 10)


def test_whole_runs_without_any_change_seldom_show_a_regression() -> None:
    """2,000 runs of 12 cells, 3 seeds, each cell with a variance of its own from the prior; error 5 %, no margin."""
    rng = np.random.default_rng(2)
    prior, error, runs = Prior(0.02**2, 4.0), 0.05, 2_000
    alarms = 0
    for _ in range(runs):
        sds = np.sqrt(prior.degrees * prior.variance / rng.chisquare(prior.degrees, 12))
        p = []
        for sd in sds:
            found = paired([0.0] * 3, list(rng.normal(0, sd, 3)), prior)
            assert found is not None
            p.append(found.p_above(0.0))
        alarms += any(rejected for rejected, _ in holm_levels(p, error))
    low, high = stats.binomtest(alarms, runs).proportion_ci(0.999)
    assert low < error and high > 0.6 * error  # kept, and not by testing nothing


def test_a_known_error_is_that_of_a_normal_distribution() -> None:
    found = Estimate(1.0, 0.5, math.inf)
    assert found.p_above(0) == pytest.approx(stats.norm.sf(2))
    assert found.p_above(1.5) == pytest.approx(stats.norm.cdf(1))
    assert found.lower(0.025) == pytest.approx(1 - 0.5 * stats.norm.isf(0.025))
    assert found.upper(1e-20) == pytest.approx(1 + 0.5 * stats.norm.isf(1e-20))  # 1 - 1e-20 is 1
    assert found.p_two_sided() == pytest.approx(2 * stats.norm.sf(2)) == found.negative().p_two_sided()


def test_two_sided_is_the_t_test_of_scipy() -> None:
    values = [0.3, -0.1, 0.4, 0.25]
    found = paired([0.0] * 4, values)
    assert found is not None and found.p_two_sided() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert [Estimate(d, 0.0, 3).p_two_sided() for d in (0.0, 0.1, -0.1)] == [1.0, 0.0, 0.0]


def test_a_prior_of_variances_with_degrees_of_their_own() -> None:
    variances = [0.02, 0.05, 0.03, 0.4, 0.001]
    assert fit_prior(variances, [3.0] * 5) == fit_prior(variances, 3)
    rng = np.random.default_rng(3)
    degrees = np.tile([5, 10, 20], 2_000)
    true = 6.0 * 0.04 / rng.chisquare(6.0, len(degrees))
    found = fit_prior(list(true * rng.chisquare(degrees) / degrees), list(map(float, degrees)))
    assert (found.variance, found.degrees) == (pytest.approx(0.04, rel=0.05), pytest.approx(6.0, rel=0.15))


def test_bounds_of_a_prior_only_make_it_more_careful() -> None:
    alike, apart = [0.01, 0.01, 0.011, 0.009], [1e-6, 0.01, 1.0, 300.0]
    many, few = fit_prior(alike, 2), fit_prior(apart, 2)
    assert many.degrees == MANY and few.degrees < 1
    assert fit_prior(alike, 2, (4, 10)) == Prior(many.variance, 10)
    bounded = fit_prior(apart, 2, (4, 10))
    assert bounded.degrees == 4 and bounded.variance > few.variance
    logs = [math.log(v) - float(digamma(1)) for v in apart]
    assert bounded.variance == pytest.approx(math.exp(np.mean(logs) + float(digamma(2)) - math.log(2)))

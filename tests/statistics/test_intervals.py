"""Ranks, intervals and rounding, held against scipy and against numbers that break divisions."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, spearmanr, t, ttest_1samp

from bench.statistics import holm, hypervolume, kendall, mean_ranks, paired_p, same, spearman, t_interval
from tests.helpers.numbers import HUGE, TINIEST, anything, close, finite

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


@given(st.lists(st.integers(-3, 3) | st.just(math.inf), min_size=1, max_size=12))
def test_ranks_are_those_of_scipy(values: list[float]):
    assert mean_ranks(values) == rankdata(values).tolist()


@given(PAIRS)
def test_agreements_are_those_of_scipy(pairs: list[tuple[int, int]]):
    x, y = zip(*pairs, strict=True)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(spearman(x, y)) and math.isnan(kendall(x, y))
    else:
        assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
        assert kendall(x, y) == pytest.approx(kendalltau(x, y).statistic)


def test_numbers_that_differ_by_one_rounding_are_the_same():
    assert same(0.1 + 0.2, 0.3) and same(0.0, 0.0) and same(0.010000000000000002, 0.01)
    assert not same(0.3, 0.3000001) and not same(0.0, 1e-20)


def test_an_interval_by_hand():
    found = t_interval([1.0, 2.0, 6.0])  # mean 3, variance (4 + 1 + 9) / 2 = 7
    half = t.ppf(0.975, 2) * math.sqrt(7 / 3)
    assert (found.n, found.mean, found.std) == (3, 3.0, pytest.approx(math.sqrt(7)))
    assert (found.half, found.low, found.high) == pytest.approx((half, 3 - half, 3 + half))
    assert found.note == "95 % t"
    assert t_interval([1.0, 2.0], 0.9).half == pytest.approx(t.ppf(0.95, 1) * 0.5)
    assert t_interval([1.0, 2.0], 0.9).note == "0.9 t"


def test_an_interval_of_few_values_says_what_it_is():
    assert (t_interval([]).n, t_interval([]).note) == (0, "no value")
    assert (t_interval([4.0]).n, t_interval([4.0]).mean) == (1, 4.0) and math.isnan(t_interval([4.0]).half)
    equal = t_interval([0.1, 0.1, 0.1])
    assert (equal.n, equal.mean, equal.std, equal.half) == (3, 0.1, 0.0, 0.0)


@given(close(anything, 1, 6))
def test_an_interval_of_any_numbers_holds_their_mean_or_says_that_there_is_none(values: list[float]):
    found = t_interval(values)
    assert found.n == len(values)
    if all(map(math.isfinite, values)):
        assert (
            min(values) <= found.mean <= max(values) or same(found.mean, min(values)) or same(found.mean, max(values))
        )
        assert math.isnan(found.half) if len(values) == 1 else found.half >= 0
    else:
        assert math.isnan(found.mean) and math.isnan(found.half) and found.note == "not finite"


def test_p_values_of_paired_differences_are_those_of_scipy():
    differences = [0.3, -0.1, 0.4, 0.25]
    assert paired_p(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue)
    assert paired_p(differences, 0.5) == pytest.approx(ttest_1samp(differences, 0.5, alternative="less").pvalue)
    assert math.isnan(paired_p([0.3]))


def test_differences_without_spread_are_certain():
    assert paired_p([0.2, 0.2]) == 0.0 and paired_p([0.0, 0.0]) == 1.0
    assert paired_p([0.2, 0.2], 0.3) == 0.0 and paired_p([0.2, 0.2], 0.2) == 1.0


@given(close(anything, 2, 7), st.none() | finite)
@example([TINIEST, 0.0, 0.0, 0.0, 0.0, 0.0], None)  # their standard error is below all floats
@example([HUGE, HUGE, HUGE], None)  # their sum is beyond them
def test_a_p_value_of_any_differences_is_a_share_or_none(differences: list[float], margin: float | None):
    found = paired_p(differences, margin)
    assert 0 <= found <= 1 if all(map(math.isfinite, differences)) else math.isnan(found)


def test_holm_by_hand():
    # .01 x 3, then max(.03, .02 x 2), then max(.04, .03 x 1); what was not tested counts for nothing.
    assert holm([0.03, math.nan, 0.01, 0.02]) == pytest.approx([0.04, math.nan, 0.03, 0.04], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_a_hypervolume_by_hand():
    # Two rectangles, (10 - 2) x (8 - 6) and (10 - 4) x (6 - 3); the rest is dominated or outside.
    assert hypervolume([(2, 6), (4, 3), (5, 5), (11, 0), (0, 9)], (10, 8)) == 8 * 2 + 6 * 3
    assert hypervolume([(10, 0), (0, 8)], (10, 8)) == 0

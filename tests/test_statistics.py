"""Ranks and rounding, held against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, spearmanr

from bench.statistics import kendall, mean_ranks, same, spearman

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

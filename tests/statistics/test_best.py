"""Which rows may be the best one, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from bench.statistics import Estimate, Standing, among_best


def of_means(means: list[float], error: float = 1.0):  # type: ignore[no-untyped-def]
    return lambda i, j: Estimate(means[i] - means[j], error, math.inf)


def test_the_best_by_hand() -> None:
    # Three rows: each of two comparisons at .025, so 1.96 errors are needed.
    assert among_best(3, of_means([0.0, 1.9, 2.5])) == (
        Standing(True, ()),
        Standing(True, ()),
        Standing(False, (0,)),
    )
    assert among_best(3, of_means([0.0, 2.0, 9.0]))[1:] == (Standing(False, (0,)), Standing(False, (0, 1)))


def test_the_surest_is_named_first() -> None:
    assert among_best(3, of_means([1.0, 0.0, 9.0]))[2].beaten_by == (1, 0)


def test_the_level_is_shared_by_the_others_alone() -> None:
    for rows in (2, 5, 12):
        needed = norm.isf(0.05 / (rows - 1))
        for distance, stays in ((needed * 0.999, True), (needed * 1.001, False)):
            assert among_best(rows, of_means([0.0] * (rows - 1) + [distance]))[-1].among_best is stays
    assert among_best(2, of_means([0.0, 1.5]), 0.1)[1].among_best is False


def test_one_row_is_the_best_and_none_is_none() -> None:
    assert among_best(1, of_means([3.0])) == (Standing(True, ()),)
    assert among_best(0, of_means([])) == ()


@pytest.mark.parametrize("unknown", [None, Estimate(math.nan, 1.0, 3)])
def test_nothing_speaks_against_a_row_that_was_not_compared(unknown: Estimate | None) -> None:
    found = among_best(3, lambda i, j: unknown if 2 in (i, j) else Estimate(9.0 * (i - j), 1.0, math.inf))
    assert [one.among_best for one in found] == [True, False, True]


def test_equal_rows_without_any_error_stay_together() -> None:
    assert [one.among_best for one in among_best(3, of_means([0.0, 0.0, 0.1], error=0.0))] == [True, True, False]


@pytest.mark.parametrize("gap", [0.0, 1.0, 6.0])
def test_the_truly_best_is_seldom_left_out(gap: float) -> None:
    rng = np.random.default_rng(6)
    truth = np.array([0.0, *[gap] * 5])
    runs, lost, sizes = 600, 0, 0
    for _ in range(runs):
        means = list(truth + rng.normal(size=6) / math.sqrt(2))
        found = among_best(6, of_means(means))
        lost += not found[0].among_best
        sizes += sum(one.among_best for one in found)
    low, high = binomtest(lost, runs).proportion_ci(0.999)
    assert low < 0.05
    assert (gap > 0) or high > 0.015  # where all are equal the error is used
    assert sizes / runs < 1.1 if gap == 6 else sizes / runs > 4

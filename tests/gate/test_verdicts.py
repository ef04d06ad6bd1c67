"""From estimates to verdicts, and the history of what was accepted."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.gate.history import Series
from bench.gate.plot import unbroken
from bench.gate.verdicts import Judgeable, Row, exit_code, judge, judge_exact
from bench.statistics import Estimate

ROW = Row(cell="digits", metric="fid", kind="stochastic", gated=True, verdict="missing", reason="")


def one(difference: float, error: float, degrees: float = 4.0, *, lower: bool = True) -> Row:
    (found,) = judge([Judgeable(ROW, Estimate(difference, error, degrees), 0.1, lower)], 0.05)
    return found


@given(st.floats(-1500, 1500), st.floats(0, 1e6), st.integers(1, 1000))
@example(5.0, 2.0, 1)  # two seeds without a prior: the bound is a factor of e^760 at one in a thousand
def test_however_large_a_difference_or_its_error_there_is_a_verdict(difference: float, error: float, degrees: int):
    (found,) = judge([Judgeable(ROW, Estimate(difference, error, degrees), 0.1, True)], 0.001)
    for value in (found.change, found.low, found.high):
        assert value is None or math.isfinite(value)
    assert found.verdict in ("ok", "regression", "improved", "inconclusive")


def test_a_verdict_is_turned_round_where_higher_is_better():
    assert (one(1.0, 0.01).verdict, one(1.0, 0.01, lower=False).verdict) == ("regression", "improved")
    assert (one(-1.0, 0.01).verdict, one(-1.0, 0.01, lower=False).verdict) == ("improved", "regression")
    assert one(1.0, 0.01).change == one(1.0, 0.01, lower=False).change == pytest.approx(math.e - 1)


def test_a_difference_within_the_margin_is_ok_and_one_that_could_be_beyond_it_is_not_decided():
    margin = math.log(1.1)
    assert one(margin - 0.03, 0.01).verdict == "ok"  # the bound is 2.13 errors away
    assert one(margin - 0.02, 0.01).verdict == "inconclusive"
    assert one(margin + 0.02, 0.01).verdict == "inconclusive"
    assert one(margin + 0.03, 0.01).verdict == "regression"


def test_the_bounds_of_a_change_are_those_of_the_level_that_it_was_tested_at():
    found = one(0.0, 0.1)
    reach = 0.1 * 2.131846786  # t with 4 degrees of freedom, one-sided 5 %
    assert (found.low, found.high) == pytest.approx((math.expm1(-reach), math.expm1(reach)))


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (4e-4, "the same to a tenth of a percent: not worse by 10 %"),
        (-4e-4, "the same to a tenth of a percent: not worse by 10 %"),
        (0.01, "worse by 1.0 %: not worse by 10 %"),
        (-0.01, "better by 1.0 %: not worse by 10 %"),
    ],
)
def test_a_reason_says_how_much(difference: float, words: str):
    assert one(difference, 1e-6).reason == words


def test_an_exact_change_is_that_of_the_means():
    found = judge_exact(ROW, [100, 100], [100, 110], True)
    assert (found.verdict, found.base, found.head, found.change) == ("regression", 100, 105, pytest.approx(0.05))
    assert judge_exact(ROW, [100, 100], [100, 110], False).verdict == "improved"
    assert judge_exact(ROW, [0, 0], [0, 0], True).change is None


def test_a_regression_counts_for_more_than_what_could_not_be_compared():
    def rows(*verdicts: str) -> list[Row]:
        return [ROW.model_copy(update={"verdict": verdict}) for verdict in verdicts]

    assert exit_code(rows("ok", "missing", "regression"), strict=False) == 1
    assert exit_code(rows("ok", "missing"), strict=False) == exit_code(rows("not comparable"), strict=False) == 3
    assert exit_code(rows("inconclusive", "invalid", "improved", "new"), strict=False) == 0
    assert exit_code(rows("inconclusive"), strict=True) == exit_code([], strict=True) == 3
    assert exit_code(rows("ok", "improved", "new"), strict=True) == 0
    open_to_all = [row.model_copy(update={"gated": False}) for row in rows("regression", "missing")]
    assert exit_code([*open_to_all, *rows("ok")], strict=True) == 0
    untimed = ROW.model_copy(update={"kind": "timing", "verdict": "missing"})
    assert (exit_code([untimed], strict=False), exit_code([untimed], strict=True)) == (0, 3)


def test_a_history_is_relative_to_the_first_of_each_version():
    values = (2.0, 3.0, None, 4.0, 5.0, 10.0)
    line = Series("digits", "fid", values, ("1", "1", None, "1", "2", "2"))
    assert unbroken(line) == [[(0, 1.0), (1, 1.5)], [(3, 1.0)], [(4, 1.0), (5, 2.0)]]


def test_a_history_that_begins_at_0_has_no_ratios():
    (part,) = unbroken(Series("digits", "fid", (0.0, 0.0, 1.0), ("1", "1", "1")))
    assert part[:2] == [(0, 1.0), (1, 1.0)] and math.isnan(part[2][1])

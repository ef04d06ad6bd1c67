"""Corrections and simultaneous intervals of a family against hand-worked numbers, whole closures, and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from bench.statistics import Estimate, above, adjusted, below, between, first_levels, holm
from bench.statistics.families import KEPT, hommel, simes
from tests.helpers.properties import examples

P_VALUES = st.lists(st.floats(0, 0.2) | st.sampled_from([0.01, 0.02, 0.04, 0.5, 1.0]), min_size=1, max_size=6)
FAMILY = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.2) | st.floats(0, 1)), min_size=1, max_size=12)
ONE = st.builds(Estimate, st.floats(-6, 6), st.sampled_from([0, 0.5, 1.0]), st.sampled_from([3, math.inf]))
ESTIMATES = st.lists(st.tuples(st.integers(0, 3), st.none() | ONE), min_size=1, max_size=10)


def test_simes_by_hand() -> None:
    assert simes([0.04]) == 0.04
    assert simes([0.03, 0.02, 0.5]) == pytest.approx(min(3 * 0.02, 3 * 0.03 / 2, 0.5))
    assert simes([0.04, 0.04, 0.04]) == pytest.approx(0.04)


@examples(40)
@given(P_VALUES)
def test_hommel_is_the_whole_closed_test(p_values: list[float]) -> None:
    indices = range(len(p_values))
    sets = [s for size in indices for s in itertools.combinations(indices, size + 1)]
    expected = [max(simes([p_values[j] for j in s]) for s in sets if i in s) for i in indices]
    assert hommel(p_values) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=8))
def test_groups_of_one_are_holms(p_values: list[float]) -> None:
    assert adjusted(range(len(p_values)), p_values) == pytest.approx(holm(p_values), nan_ok=True)


def test_one_group_is_hommels() -> None:
    # .001: all four give .004; .02 and .03 are held back by the sets without .001, of which Simes' p is .04.
    assert adjusted("aaaa", [0.02, 0.001, 0.03, 0.04]) == pytest.approx([0.04, 0.004, 0.04, 0.04])


def test_a_group_that_is_done_leaves_its_share_to_the_other() -> None:
    # a is done at 2 x .02 = .04; then b has the whole: its closed test gives .04, .045, so .04 (not .08), .045.
    assert adjusted("aabb", [0.001, 0.02, 0.02, 0.045]) == pytest.approx([0.004, 0.04, 0.04, 0.045])
    # a is never done: b keeps to its half.
    assert adjusted("aabb", [0.001, 0.9, 0.01, 0.02]) == pytest.approx([0.004, 0.9, 0.04, 0.04])


def test_what_was_not_compared_counts_for_nothing() -> None:
    found = adjusted("abacc", [0.01, 0.02, math.nan, 0.03, math.nan])
    assert found == pytest.approx([0.03, 0.04, math.nan, 0.04, math.nan], nan_ok=True)
    assert adjusted("a", [math.nan]) == pytest.approx([math.nan], nan_ok=True) and adjusted([], []) == []
    assert above("ab", [None, None]) == between("ab", [None, None]) == [None, None]
    one = between("aab", [None, Estimate(1, 0.3, 5), Estimate(math.nan, 1, 5)])
    assert (one[0], one[2]) == (None, None) and one[1] == between("a", [Estimate(1, 0.3, 5)])[0]


def gate_then_holm(groups: list[int], p_values: list[float]) -> list[float]:
    """Goeman and Finos 2012 step by step: Simes' gate, then Holm with Shaffer's improvement, shares handed on."""
    members = {g: [i for i, h in enumerate(groups) if h == g] for g in groups}
    found, passed, reached = [math.nan] * len(groups), set(), 0.0
    while members:
        steps = []
        for group, left in members.items():
            all_of_it = groups.count(group)
            if group not in passed:
                whole = simes([p for p, g in zip(p_values, groups, strict=True) if g == group])
                steps.append((whole * len(members), group, None))
            else:
                among = max(all_of_it - 1, 1) if len(left) == all_of_it else len(left)
                steps += [(p_values[i] * len(members) * among, group, i) for i in left]
        p, group, index = min(steps, key=lambda step: step[0])
        reached = max(reached, min(1.0, p))
        if index is None:
            passed.add(group)
            continue
        found[index] = reached
        members[group].remove(index)
        if not members[group]:
            del members[group]
    return found


@examples(40)
@given(FAMILY)
@example([(0, 0.03), (0, 0.04), (1, 0.01)])
def test_never_less_is_rejected_than_by_a_gate_and_holm(family: list[tuple[int, float]]) -> None:
    groups, p_values = map(list, zip(*family, strict=True))
    ours, theirs = adjusted(groups, p_values), gate_then_holm(groups, p_values)
    assert all(a <= b * (1 + 1e-12) for a, b in zip(ours, theirs, strict=True))
    assert all(a >= p for a, p in zip(ours, p_values, strict=True))


@examples(40)
@given(FAMILY, st.integers(0, 11), st.floats(0, 1))
def test_a_smaller_p_value_makes_none_larger(family: list[tuple[int, float]], which: int, factor: float) -> None:
    groups, p_values = map(list, zip(*family, strict=True))
    before = adjusted(groups, p_values)
    p_values[which % len(p_values)] *= factor
    assert all(b <= a for a, b in zip(before, adjusted(groups, p_values), strict=True))


@examples(60)
@given(ESTIMATES, st.sampled_from([0.0, 0.5, -1.25]))
@example([(0, Estimate(0.0, 0, 3)), (1, Estimate(1.0, 0, 3))], 0.0)
def test_a_corrected_p_below_the_error_and_an_interval_without_the_null_are_the_same(
    family: list[tuple[int, Estimate | None]], null: float
) -> None:
    groups, estimates = zip(*family, strict=True)
    for estimate, found in zip(estimates, between(groups, estimates, null), strict=True):
        assert (found is None) == (estimate is None)
        if found is None or estimate is None:
            continue
        assert found.low <= found.high and found.shown in (-1, 0, 1)
        assert (found.p < 0.05) == (found.shown != 0)
        if found.shown:
            assert found.low >= null if found.shown > 0 else found.high <= null
            assert math.copysign(1, estimate.difference - null) == found.shown
        else:
            assert found.low <= null <= found.high
        if estimate.difference != null:
            assert found.low <= estimate.difference <= found.high
    for side, sign in ((above, 1), (below, -1)):
        for found in side(groups, estimates, null):
            if found is not None:
                bound = found.low if sign > 0 else found.high
                assert (found.p < 0.05) == (found.shown == sign) == (sign * (bound - null) >= 0 and found.p < 0.05)
                assert math.isinf(found.high if sign > 0 else found.low)
                if found.shown:
                    assert sign * (bound - null) >= 0
                else:
                    assert sign * (bound - null) <= 0


def test_one_comparison_is_its_own_test_and_interval() -> None:
    one = Estimate(1.0, 0.4, 7)
    (found,) = between("a", [one])
    assert found is not None and found.p == pytest.approx(one.p_two_sided())
    assert (found.low, found.high) == pytest.approx((one.lower(0.025), one.upper(0.025)))
    (most,) = below("a", [one], 2.0)
    assert most is not None and most.high == pytest.approx(one.upper(0.05)) and most.shown == -1


def test_bounds_by_hand() -> None:
    # Two groups of two: a is far above 0, b's first is rejected late, its last is not. 1 - 1/4 of the rest is kept for.
    estimates = [Estimate(d, 1.0, math.inf) for d in (9.0, 8.0, 2.6, 0.5)]
    tested = 1 - KEPT * 3 / 4
    found = above("aabb", estimates)
    assert [one.shown for one in found if one] == [1, 1, 1, 0]
    far = norm.isf(0.05 * KEPT / 4)
    lows = [one.low for one in found if one]
    assert lows == pytest.approx([9 - far, 8 - far, 0.0, 0.5 - norm.isf(0.05 * tested / 2)])  # b alone is left
    all_shown = above("ab", estimates[:2])
    assert [one.low for one in all_shown if one] == pytest.approx([9 - norm.isf(0.025), 8 - norm.isf(0.025)])


def test_a_loss_below_the_margin_is_at_most_the_margin() -> None:
    losses = [Estimate(0.0, 1.0, math.inf), Estimate(-0.6, 1.0, math.inf), Estimate(4.0, 1.0, math.inf)]
    found = below("aab", losses, 2.0)
    assert [one.shown for one in found if one] == [0, -1, 0]
    assert found[1] is not None and found[1].high == 2.0  # stepwise shown, by its own bound not
    assert all(one.high >= 2.0 for one in found if one and not one.shown)


def test_the_level_of_the_first_step_is_what_rejects_whatever_the_others_are() -> None:
    groups = "aaabcc"
    for i, level in enumerate(first_levels(groups)):
        for factor, shown in ((0.999, 1), (1.001, 0)):
            estimates = [Estimate(-9.0, 1.0, math.inf)] * len(groups)
            estimates[i] = Estimate(float(norm.isf(level * factor)), 1.0, math.inf)
            found = above(groups, estimates, 0.0, 0.025)[i]
            assert found is not None and found.shown == shown
    assert first_levels("a") == [0.025] and first_levels("") == []


GROUPS = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 4)
SCENES = {
    "nothing differs": [0.0] * 16,
    "one group differs": [6.0] * 4 + [0.0] * 12,
    "some of each": [0, 0, 4, 9, 0, 9, 9, 9, 0, 9, 0, 0, 0, 3, 6, 9],
    "all but one": [9.0] * 10 + [0.0] + [9.0] * 5,
    "both ways": [0, -4, 4, 9, 0, -9, 9, -9, 0, 9, 0, 0, 0, -3, 6, -9],
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_verdicts_and_intervals_of_a_family_are_wrong_together_in_five_percent_at_most(
    scene: str, correlation: float
) -> None:
    rng = np.random.default_rng(5)
    truth = np.array(SCENES[scene], dtype=float)
    runs, wrong, shown = 250, 0, 0
    for _ in range(runs):
        noise = math.sqrt(correlation) * rng.normal() + math.sqrt(1 - correlation) * rng.normal(size=len(truth))
        found = between(GROUPS, [Estimate(float(d), 1.0, math.inf) for d in truth + noise])
        bad = False
        for true, one in zip(truth, found, strict=True):
            assert one is not None
            bad |= not one.low <= true <= one.high or (one.shown != 0 and one.shown != np.sign(true))
            shown += one.shown != 0
        wrong += bad
    low, _ = binomtest(wrong, runs).proportion_ci(0.999)
    assert low < 0.05
    assert shown > 0.5 * runs * np.sum(np.abs(truth) > 3)

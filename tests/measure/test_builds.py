"""Two sides built anew several times: orders, ratios and their spread, with times that the tests make up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import pytest

from bench.measure import builds
from bench.measure.blocks import Block, Plan
from bench.measure.builds import (
    BLOCK_SECONDS,
    BUILDS,
    MIN_CLEAN,
    Build,
    alike,
    alternate,
    apart,
    balanced,
    half_width,
    other_first,
    time_built,
)
from bench.records import LatencySample
from bench.statistics import t_interval


def sample(one: float, other: float, *, interrupted: bool = False) -> LatencySample:
    return LatencySample(dense_wall=one, pruned_wall=other, dense_cpu=one, pruned_cpu=other, interrupted=interrupted)


def build(log_ratio: float, *, turned: bool = False) -> Build:
    return Build((sample(1.0, math.exp(log_ratio)),) * MIN_CLEAN, turned)


DISTURBED = (sample(1.0, 3.0, interrupted=True),) * 9


def wall(one: Build) -> float | None:
    return one.log_ratio


def ratios(base_first: Iterable[float], turned: Iterable[float]) -> list[Build]:
    return [*map(build, base_first), *(build(value, turned=True) for value in turned)]


def slower_first(factor: float, *, one: float = 2.0, other: float = 2.0) -> tuple[list[str], Callable[..., object]]:
    """What is built first takes ``factor`` times as long; who was built, in order, and how they are timed."""
    seconds = {"one": one, "other": other}

    def time_both(first: str, second: str) -> Sequence[LatencySample]:
        return [sample(factor * seconds[first], seconds[second])] * 5

    return [], time_both


def alternated(time_both: Callable[..., object], built: list[str], **options: float) -> list[Build]:
    def maker(name: str) -> Callable[[], str]:
        return lambda: built.append(name) or name

    return alternate(maker("one"), maker("other"), time_both, **options)  # type: ignore[arg-type]


def test_of_equal_sides_the_ratio_is_1_whatever_being_first_costs() -> None:
    built, time_both = slower_first(1.05)
    found = alternated(time_both, built)
    assert balanced(found, wall) == pytest.approx(0.0, abs=1e-15)
    assert half_width(found, wall) == pytest.approx(0.0, abs=1e-12)  # the order is no spread
    assert [one.log_ratio for one in found] == pytest.approx([s * math.log(1.05) for s in (-1, 1, 1, -1, -1, 1)])


def test_sides_are_built_in_changing_order_each_first_equally_often() -> None:
    built, time_both = slower_first(1.05, other=3.0)
    found = alternated(time_both, built)
    firsts = built[::2]
    assert len(found) == BUILDS and firsts == ["one", "other", "other", "one", "one", "other"]
    assert [one.other_first for one in found] == [name == "other" for name in firsts]
    assert balanced(found, wall) == pytest.approx(math.log(1.5), abs=1e-15)


def test_samples_are_turned_back_and_say_which_build_they_belong_to() -> None:
    built, time_both = slower_first(1.0, one=2.0, other=3.0)
    found = alternated(time_both, built)
    assert {(s.dense_wall, s.pruned_wall, s.dense_cpu, s.pruned_cpu) for b in found for s in b.samples} == {
        (2.0, 3.0, 2.0, 3.0)
    }
    assert [s.build for b in found for s in b.samples] == [n for n in range(BUILDS) for _ in range(5)]
    assert [other_first(s.build) for b in found for s in b.samples] == [b.other_first for b in found for _ in range(5)]


@pytest.mark.parametrize(("seconds", "expected"), [(-1.0, 2), (0.5, 2), (1.5, 4), (2.0, 6)])
def test_no_build_is_begun_after_so_long_but_always_two(
    seconds: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # a second passes between two looks at it, which are before each second build
    monkeypatch.setattr(builds.time, "monotonic", lambda: float(next(clock)))
    built, time_both = slower_first(1.0)
    assert len(alternated(time_both, built, seconds=seconds)) == expected


def test_the_ratio_of_a_build_is_the_median_of_its_clean_pairs() -> None:
    pairs = [sample(1, 1), sample(1, 2), sample(2, 3), sample(2, 8), sample(3, 9)]  # 1, 2, 1.5, 4, 3
    noise = [sample(1, 90, interrupted=True)] * 7 + [sample(0.0, 1.0), sample(1.0, 0.0)]
    assert Build((*pairs, *noise)).log_ratio == pytest.approx(math.log(2))
    assert len(Build((*pairs, *noise)).clean) == 5


def test_a_build_with_too_few_clean_pairs_has_no_ratio_but_one_of_cpu_times() -> None:
    few = Build((*[sample(1.0, 2.0)] * (MIN_CLEAN - 1), *[sample(1.0, 2.0, interrupted=True)] * 9))
    assert few.log_ratio is None and few.log_cpu_ratio == pytest.approx(math.log(2))
    assert Build((sample(1.0, 2.0),) * MIN_CLEAN).log_ratio == pytest.approx(math.log(2))
    still = LatencySample(dense_wall=1, pruned_wall=1, dense_cpu=0, pruned_cpu=0, interrupted=False)
    assert Build((still,) * 5).log_cpu_ratio is None


def test_both_orders_weigh_the_same_however_many_builds_of_each_were_clean() -> None:
    assert balanced([*ratios([0.1] * 3, [0.3] * 2), Build(DISTURBED, True)], wall) == pytest.approx(0.2)
    assert balanced(ratios([0.1], [0.3]), wall) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "found",
    [
        [*ratios([0.1] * 3, [0.3]), Build(DISTURBED, True), Build(DISTURBED, True)],
        [*ratios([0.1], []), Build(DISTURBED, True)],
        ratios([0.1] * 3, []),
        [],
    ],
)
def test_an_order_with_too_few_clean_builds_gives_no_ratio(found: list[Build]) -> None:
    assert balanced(found, wall) is None and half_width(found, wall) is None


def test_the_interval_is_that_of_the_difference_of_two_groups_halved() -> None:
    """Mean of two group means: the textbook interval of a sum of two means with pooled variance, over two."""
    from scipy import stats

    first, second = [0.01, 0.03, -0.02], [0.06, 0.02, 0.05]
    expected = stats.ttest_ind(first, [-value for value in second]).confidence_interval(0.95)
    assert half_width(ratios(first, second), wall) == pytest.approx((expected.high - expected.low) / 4)


def test_the_interval_covers_the_truth_where_the_order_matters() -> None:
    import numpy as np

    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        found = ratios(0.05 + rng.normal(0, 0.03, 3), -0.05 + rng.normal(0, 0.03, 3))
        middle, half = balanced(found, wall), half_width(found, wall)
        assert middle is not None and half is not None
        hits += abs(middle) <= half
    assert 0.92 <= hits / 400 <= 0.98


def test_of_two_builds_the_order_counts_as_chance() -> None:
    assert half_width(ratios([0.02], [0.05]), wall) == pytest.approx(t_interval([0.02, 0.05]).half)


def test_blocks_are_as_long_as_said_whatever_the_number_of_calls() -> None:
    assert apart(0.02, 0.0023) == (1, 7)
    assert apart(0.001, 0.0001) == (15, 20)
    assert apart(0.0, 3.0) == (20, 1)
    assert alike(0.02, 0.0023) == (1, 1)
    assert alike(0.002, 0.0021) == (7, 7)
    assert alike(1e-6, 0.0) == (20, 20)


def test_each_side_is_tried_before_its_calls_are_chosen() -> None:
    seen: list[tuple[object, int]] = []

    def timer(call: Callable[[], object], calls: int) -> Block:
        name = call()
        seen.append((name, calls))
        return Block({"quick": 0.001, "slow": 0.005}[str(name)], 0.0, False)

    once = Plan(warmup=0, rounds=1, min_seconds=0, max_rounds=1)
    time_built(lambda: "slow", lambda: "quick", timer=timer, share=apart, plan=once)
    assert seen == [("slow", 2), ("quick", 2), ("slow", 2), ("quick", 2), ("slow", 3), ("quick", 15)]
    assert pytest.approx(BLOCK_SECONDS) == 3 * 0.005 == 15 * 0.001

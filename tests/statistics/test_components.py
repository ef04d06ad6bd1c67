"""Estimates by components against hand-worked numbers and simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.statistics import Difference, estimated, fit_prior

NONE: frozenset[str] = frozenset()
CALIBRATE = frozenset({"calibrate"})
PRUNE = frozenset({"prune"})


def difference(values: list[float], images: float, varies: frozenset[str], scale: float = 1.0) -> Difference:
    """Logs are the values over the scale."""
    return Difference(
        tuple(values), (images,) * len(values), tuple(v / scale for v in values), scale, varies
    )  # fmt: skip


def test_where_nothing_else_is_drawn_the_images_are_all() -> None:
    one = Difference((1.0, 2.0, 6.0), (0.5, 0.6, 0.7), None, 1.0, NONE)
    (found,) = estimated([one])
    assert found is not None
    assert (found.difference, found.degrees) == (3.0, math.inf)
    assert found.error == pytest.approx(math.sqrt(0.6 / 3))
    (single,) = estimated([replace(one, values=(1.0,), images=(0.5,))])
    assert single is not None and single.error == pytest.approx(math.sqrt(0.5))


def test_calibration_multiplies_the_variance_of_the_images_by_a_moderated_ratio() -> None:
    # S^2 = 1, v = .25: ratio 4; with the prior ratio 1 worth 4 degrees: (4 x 1 + 2 x 4) / 6 = 2.
    (found,) = estimated([difference([1, 2, 3], 0.25, CALIBRATE)])
    assert found is not None and found.degrees == 6
    assert found.error == pytest.approx(math.sqrt(0.25 * 2 / 3))
    # One seed: the prior alone. Less spread than the images give: the images.
    (one,) = estimated([difference([1], 0.25, CALIBRATE)])
    assert one is not None and (one.error, one.degrees) == (pytest.approx(0.5), 4)
    (less,) = estimated([difference([1, 1, 1], 0.25, CALIBRATE)])
    assert less is not None and (less.error, less.degrees) == (pytest.approx(math.sqrt(0.25 / 3)), 6)


def test_the_ratio_of_the_class_is_what_its_members_say_together() -> None:
    members = [difference([0, 1, 2 * k], 0.2, CALIBRATE) for k in (1, 2, 3)]
    prior = fit_prior([float(np.var(m.values, ddof=1)) / 0.2 for m in members], 2, (4, 10))
    found = estimated([*members, difference([5], 0.3, CALIBRATE)])[-1]
    assert found is not None and prior.variance > 1
    assert (found.error, found.degrees) == (pytest.approx(math.sqrt(0.3 * prior.variance)), prior.degrees)


def test_drawn_networks_take_the_moderated_variance_of_logarithms() -> None:
    members = [difference([0, 0.1 * k, 0.3], 1e-6, PRUNE) for k in (1, 2, 3)]
    prior = fit_prior([float(np.var(m.values, ddof=1)) for m in members], 2, (4, 10))
    own = difference([0.0, 2.0, 4.0], 1e-6, PRUNE, scale=10.0)  # logs 0, .2, .4: variance .04
    prior = fit_prior([*(float(np.var(m.values, ddof=1)) for m in members), 0.04], 2, (4, 10))
    found = estimated([*members, own])[-1]
    assert found is not None and found.degrees == prior.degrees + 2
    variance = 100 * (prior.degrees * prior.variance + 2 * 0.04) / (prior.degrees + 2)
    assert (found.difference, found.error) == (pytest.approx(2.0), pytest.approx(math.sqrt(variance / 3)))


def test_classes_do_not_lend_to_each_other() -> None:
    prune = [difference([0, 0.1 * k, 0.3], 1e-6, PRUNE) for k in (1, 2, 3)]
    train = [difference([0, 10.0 * k, 30], 1e-6, frozenset({"train"})) for k in (1, 2, 3)]
    assert estimated([*prune, *train]) == [*estimated(prune), *estimated(train)]


@pytest.mark.parametrize("others", [0, 1])
def test_fewer_than_three_leave_a_plain_t_interval(others: int) -> None:
    own = difference([1, 2, 3], 0.25, PRUNE)
    found = estimated([own, *[difference([1, 5, 9], 0.25, PRUNE)] * others])[0]
    assert found is not None and (found.error, found.degrees) == (pytest.approx(math.sqrt(1 / 3)), 2)


def test_no_variance_is_below_that_of_the_images() -> None:
    own = difference([1, 2, 3], 4.0, PRUNE)
    found = estimated([own])[0]
    assert found is not None and found.error == pytest.approx(math.sqrt(4 / 3))
    many = estimated([own] * 4)[0]
    assert many is not None and many.error == pytest.approx(math.sqrt(4 / 3)) and many.degrees == 12


def test_a_quantity_that_is_not_positive_keeps_its_own_spread() -> None:
    members = [difference([0, 0.1 * k, 0.3], 1e-6, PRUNE) for k in (1, 2, 3)]
    found = estimated([*members, replace(difference([1, 2, 3], 0.25, PRUNE), logs=None)])[-1]
    assert found is not None and (found.error, found.degrees) == (pytest.approx(math.sqrt(1 / 3)), 2)


@pytest.mark.parametrize("varies", [NONE, CALIBRATE, PRUNE])
def test_equal_numbers_have_no_error(varies: frozenset[str]) -> None:
    members = [difference([0, 0.1 * k, 0.3], 0.001, varies) for k in (1, 2, 3)]
    found = estimated([difference([0, 0, 0], 0.0, varies), *members])[0]
    assert found is not None and (found.difference, found.error) == (0, 0)
    assert found.p_two_sided() == 1
    (one,) = estimated([difference([0], 0.0, varies)])
    assert one is not None and one.error == 0


def test_where_nothing_can_be_said_nothing_is() -> None:
    assert estimated([]) == []
    for varies in ("prune", "train", "checkpoint"):
        one = difference([1], 0.25, frozenset({varies}))
        assert estimated([one, *[difference([0, k, 3], 0.1, one.varies) for k in (1, 2, 5)]])[0] is None
    assert estimated([difference([], 0, NONE), difference([1, math.nan], 0.1, NONE)]) == [None, None]
    assert estimated([difference([1, math.inf, 2], 0.1, PRUNE)] * 3) == [None] * 3
    assert estimated([replace(difference([1, 2], 0.1, PRUNE), scale=math.nan)]) == [None]


def test_one_entry_a_unit_is_expected() -> None:
    with pytest.raises(ValueError, match="one entry a unit"):
        Difference((1.0, 2.0), (0.1,), None, 1.0, NONE)


def test_a_prior_is_worth_four_to_ten_degrees() -> None:
    alike = [difference([0, 0.1, 0.2 + k / 1000], 1e-9, PRUNE) for k in range(6)]
    apart = [difference([0, 0.1, 4.0**k], 1e-9, PRUNE) for k in range(-3, 6)]
    degrees = [found.degrees for members in (alike, apart) for found in estimated(members) if found]
    assert set(degrees[: len(alike)]) == {12} and set(degrees[len(alike) :]) == {6}


@pytest.mark.parametrize("varies", [NONE, CALIBRATE, PRUNE])
def test_the_errors_are_those_of_simulated_comparisons(varies: frozenset[str]) -> None:
    """300 runs of 8 comparisons without a difference over 3 seeds, each with a spread of its own; tests at 5 %."""
    rng = np.random.default_rng(4)
    alarms, runs, count, n = 0, 300, 8, 3
    for _ in range(runs):
        excess = np.zeros(count) if varies == NONE else 5 / rng.chisquare(5, count)
        members = []
        for extra in excess:
            values = rng.normal(0, math.sqrt(0.01 * (1 + extra)), n)
            members.append(difference(list(values), 0.01, varies))
        alarms += sum(found.p_two_sided() < 0.05 for found in estimated(members) if found)
    low, high = binomtest(alarms, runs * count).proportion_ci(0.999)
    assert low < 0.05 and high > 0.025

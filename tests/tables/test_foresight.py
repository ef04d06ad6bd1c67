"""What a planned family will tell, by hand; a run's variances in few numbers."""

from __future__ import annotations

import math
import statistics

import pytest

from bench.statistics import Prior, reach
from bench.tables import tidy
from bench.tables.foresight import (
    PlannedFamily,
    PlannedStrategy,
    ends,
    told_of_fixed,
    told_ratio_of_drawn,
    told_ratio_of_trainings,
)
from bench.tables.powering import powers_of
from bench.tables.variances import Drawn, Fixed, Variances, as_table, from_table, variances_of
from tests.tables.test_powering import BIAS, records_of

EVAL, CALIBRATE, PRUNE = frozenset(), frozenset({"calibrate"}), frozenset({"prune", "calibrate"})
LEVEL = 0.025 * (1 - 0.2 * (1 - 1 / 4)) / 4


def family(*streams: frozenset[str], seeds: int = 3, num_images: int = 1000) -> PlannedFamily:
    """Two levels of each strategy."""
    strategies = tuple(PlannedStrategy(f"s{index}", 2, each) for index, each in enumerate(streams))
    return PlannedFamily(strategies, num_images, seeds)


def test_of_networks_that_are_not_drawn_the_images_decide() -> None:
    fixed = Fixed(1.0, 4.0, None)
    found = told_of_fixed(4.0, fixed, 1000, family(EVAL, EVAL))
    assert found == pytest.approx(2 / math.sqrt(3) * reach(math.inf, LEVEL))
    assert told_of_fixed(4.0, fixed, 1000, family(EVAL, EVAL, num_images=4000)) == pytest.approx(found / 2)
    assert told_of_fixed(4.0, fixed, 1000, family(EVAL, EVAL, seeds=12)) == pytest.approx(found / 2)


def test_what_calibration_draws_stays_however_many_the_images() -> None:
    fixed = Fixed(4.0, None, Prior(3.0, 8.0))
    found = told_of_fixed(4.0, fixed, 1000, family(CALIBRATE, CALIBRATE))
    assert found == pytest.approx(math.sqrt(4 * 3 / 3) * reach(8 + 2, LEVEL))
    many = told_of_fixed(4.0, fixed, 1000, family(CALIBRATE, CALIBRATE, num_images=10**9))
    assert many == pytest.approx(math.sqrt(4 * 2 / 3) * reach(8 + 2, LEVEL), rel=1e-4)
    one = told_of_fixed(4.0, fixed, 1000, family(CALIBRATE, CALIBRATE, seeds=1))
    assert one == pytest.approx(2 * reach(4, LEVEL))  # of one seed: as the images say, with the degrees of that


def test_of_networks_that_are_drawn_ratios_are_told() -> None:
    drawn = Drawn(0.09, 6.0, 0.01)
    found = told_ratio_of_drawn(drawn, 1000, family(EVAL, PRUNE))
    assert math.log(found) == pytest.approx(0.3 / math.sqrt(3) * reach(8, LEVEL))
    more = told_ratio_of_drawn(drawn, 1000, family(EVAL, PRUNE, num_images=4000))
    assert math.log(more) == pytest.approx(math.sqrt(0.0825 / 3) * reach(8, LEVEL))
    assert told_ratio_of_drawn(drawn, 1000, family(PRUNE, seeds=1)) == math.inf


def test_over_trainings_by_an_assumed_spread() -> None:
    found = told_ratio_of_trainings(0.2, 5, family(EVAL, PRUNE))
    assert math.log(found) == pytest.approx(0.2 / math.sqrt(5) * reach(8, LEVEL))
    assert ends([3.0, 1.0, 2.0]) == (1.0, 3.0) and ends([]) is None


def test_the_variances_of_a_run() -> None:
    mild, harsh = [11.0, 11.5, 12.0], [40.0, 40.0, 41.0]
    values = {("dense", 0.0): [10.0] * 3, ("l1-weight-global", 0.3): mild, ("l1-weight-global", 0.9): harsh}
    drawn = {("random-weight-global", s): [20.0, 20.0 + s, 20.0 + 2 * s] for s in (0.3, 0.5, 0.7)}
    records = [r for r in records_of(values, error=0.5) if r.cell.strategy != "dense"]
    records += records_of({("dense", 0.0): [10.0] * 3} | drawn, error=0.5, varies="prune+eval")
    found = variances_of(powers_of(tidy(records), "dense"))
    assert found is not None and (found.num_images, found.dense, found.trained) == (1000, 10.0, None)
    assert found.fixed == Fixed(pytest.approx(0.5), pytest.approx(0.5), None)
    logs = [statistics.variance([math.log(v + BIAS) for v in each]) for each in drawn.values()]
    assert found.pruned is not None and min(logs) / 2 < found.pruned.variance < 2 * max(logs)
    assert found.pruned.images <= found.pruned.variance and 4 <= found.pruned.degrees <= 10


def test_a_run_that_compares_nothing_has_none() -> None:
    assert variances_of(powers_of(tidy(records_of({("dense", 0.0): [10.0] * 3})), "dense")) is None


@pytest.mark.parametrize("pruned", [None, Drawn(0.1071, 4.0, 0.0118)])
@pytest.mark.parametrize("fixed", [None, Fixed(0.215, None, None), Fixed(None, 39.68, Prior(2.681, 10.0))])
def test_a_table_of_them_can_be_read_again(fixed: Fixed | None, pruned: Drawn | None) -> None:
    known = Variances("number[judge]", 1000, 0.5067, fixed, pruned, None)
    assert from_table(as_table(known)) == known

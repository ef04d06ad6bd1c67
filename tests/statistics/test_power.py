"""What a comparison can tell, against closed forms, scipy's noncentral t distribution, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct, norm, t

from bench.statistics import Design, Needed, Spread, needed, reach, tellable, tells
from tests.helpers.properties import examples

LEVELS = (0.025, 0.05 / 69, 1e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("degrees", [1, 2, 6, 12.5, 300])
def test_the_reach_is_where_the_noncentral_t_statistic_passes_in_four_of_five(degrees: float, level: float) -> None:
    found = reach(degrees, level)
    assert nct.sf(t.isf(level, degrees), degrees, found) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_with_a_known_error_the_reach_is_in_closed_form(level: float) -> None:
    assert reach(math.inf, level) == pytest.approx(norm.isf(level) + norm.ppf(0.8))
    assert reach(1e5, level) == pytest.approx(reach(math.inf, level), rel=1e-3)
    assert tellable(0.4, math.inf, level, 0.5) == pytest.approx(0.4 * norm.isf(level))


def test_without_degrees_of_freedom_nothing_is_told() -> None:
    assert reach(0, 0.05) == math.inf and tellable(0.0, 0, 0.05) == 0


def test_the_power_by_simulation() -> None:
    rng = np.random.default_rng(7)
    n, level = 4, 0.01
    values = tellable(1 / math.sqrt(n), n - 1, level) + rng.normal(size=(20_000, n))
    statistic = values.mean(1) / values.std(1, ddof=1) * math.sqrt(n)
    assert np.mean(statistic > t.isf(level, n - 1)) == pytest.approx(0.8, abs=0.015)


def test_errors_and_degrees_by_hand() -> None:
    spread = Spread(images=8.0, seeds=2.0, checkpoints=3.0)
    assert Design(seeds=2, checkpoints=4, images=2.0).error(spread) == pytest.approx(math.sqrt((3 + (2 + 4) / 2) / 4))
    assert Design(seeds=3, checkpoints=5, prior=4).degrees(spread) == 8
    assert Design(seeds=3, checkpoints=1, prior=4).degrees(Spread(1.0, 1.0)) == 6
    assert math.isinf(Design(seeds=3).degrees(Spread(1.0)))


def test_what_is_told_needs_nothing() -> None:
    assert needed(Spread(1.0), Design(seeds=3), 10.0, 0.025) == Needed(1.0, 1.0, 1.0)
    assert needed(Spread(0.0), Design(seeds=1), 1e-9, 0.025) == Needed(1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="is positive, found 0"):
        needed(Spread(1.0), Design(seeds=3), 0.0, 0.025)


def test_images_alone_by_hand() -> None:
    # Variance 4 / 2 seeds = 2 = 1.414^2; told from reach x 1.414 on. Half of that: four times the images, or the seeds.
    whole = reach(math.inf, 0.025) * math.sqrt(2)
    found = needed(Spread(4.0), Design(seeds=2), whole / 2 * 1.0001, 0.025)
    assert found == Needed(pytest.approx(4, rel=1e-3), 4.0, None)


def test_where_seeds_or_checkpoints_dominate_more_images_are_no_way() -> None:
    spread = Spread(images=1.0, seeds=4.0)
    found = needed(spread, Design(seeds=3, prior=4), 2.0, 0.025)
    assert found.images is None and found.seeds is not None and found.checkpoints is None
    of_checkpoints = needed(Spread(1.0, 1.0, 4.0), Design(seeds=1, checkpoints=3, prior=4), 2.0, 0.025)
    assert (of_checkpoints.images, of_checkpoints.seeds) == (None, None) and of_checkpoints.checkpoints is not None


SPREADS = st.builds(Spread, st.floats(0.01, 10), st.floats(0, 10), st.just(0.0) | st.floats(0.01, 10))
DESIGNS = st.builds(
    Design, st.integers(1, 6), st.integers(1, 6), st.floats(0.5, 4), st.sampled_from([2.0, 4.0, 10.0, math.inf])
)


@examples(40)
@given(SPREADS, DESIGNS, st.floats(0.1, 10), st.sampled_from(LEVELS))
def test_what_is_said_to_suffice_does_and_less_does_not(
    spread: Spread, design: Design, difference: float, level: float
) -> None:
    found = needed(spread, design, difference, level)
    if tells(spread, design, difference, level):
        assert found == Needed(1.0, 1.0, 1.0)
        return

    def told(seeds: int = 0, checkpoints: int = 0, images: float = 1.0) -> bool:
        more = Design(
            design.seeds + seeds, design.checkpoints + checkpoints, design.images * images, design.prior
        )  # fmt: skip
        return tells(spread, more, difference, level)

    if found.images is None:
        assert not told(images=1e9)
    else:
        assert told(images=found.images * 1.001) and not told(images=found.images * 0.999)
    for name, factor in (("seeds", found.seeds), ("checkpoints", found.checkpoints)):
        if factor is not None:
            added = round((factor - 1) * getattr(design, name))
            assert told(**{name: added}) and not told(**{name: added - 1})
        elif name == "checkpoints":
            assert spread.checkpoints == 0 or not told(checkpoints=10_000)
        else:
            assert not told(seeds=50_000)

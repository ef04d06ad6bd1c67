"""Costs at equal quality, by hand: which cells count, what a crossing is, and what the seeds have in common."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.tables import latency_table, tidy
from bench.tables.isoquality import (
    NETWORK,
    Crossing,
    Level,
    Margin,
    _cells,
    _over_seeds,
    _shares,
    _speedups,
    lowest_cost,
    margins_of,
)
from bench.tables.lead import bounds_of
from bench.tasks import Quantity
from bench.tasks.generation.quantities import FID
from tests.report.synthetic import FID as FID_COLUMN
from tests.report.synthetic import latency_record, make_record

LOWER = Quantity("q", "Q", "", "lower", "a number")
HIGHER = Quantity("q", "Q", "", "higher", "a number")
LOG = Quantity("q", "Q", "", "lower", "a number", "log")
NAN = math.nan


def levels(*qualities: float, shares: tuple[float, ...] = ()) -> list[Level]:
    """Dense at a share of 1, then each a tenth cheaper unless said otherwise."""
    shares = shares or tuple(1 - k / 10 for k in range(len(qualities)))
    return [Level(1 - share, quality, share) for quality, share in zip(qualities, shares, strict=True)]


@pytest.mark.parametrize(
    ("qualities", "expected"),
    [
        ((1, 3, 9), Crossing(0.95, False, False)),  # between dense and the mildest level
        ((1, 2, 3), Crossing(0.9, False, True)),  # exactly at the limit
        ((1, 1, 3), Crossing(0.85, False, True)),
        ((1, 1, 2), Crossing(0.8, True, True)),  # held at the last level
        ((1, 1, NAN), Crossing(0.9, True, True)),  # held at the last that can be judged
        ((1, NAN, 1), Crossing(0.8, True, True)),
        ((1, NAN, 3), Crossing(1.0, True, False)),
        ((1, 3, 1), Crossing(0.8, True, True)),  # it comes back
        ((1, 3, 1, 3), Crossing(0.75, False, True)),
        ((1,), Crossing(1.0, True, False)),
        ((3, 1, 3), Crossing(0.85, False, True)),
    ],
)
def test_where_a_curve_leaves_a_limit_of_two(qualities: tuple[float, ...], expected: Crossing) -> None:
    found = lowest_cost(levels(*qualities), 2.0, LOWER)
    assert (found.bound, found.reached) == (expected.bound, expected.reached)
    assert found.share == pytest.approx(expected.share)
    turned = lowest_cost(levels(*(-q for q in qualities)), -2.0, HIGHER)
    assert (turned.share, turned.bound, turned.reached) == (found.share, found.bound, found.reached)


def test_no_level_that_holds_is_no_crossing() -> None:
    for qualities in ((3, 4, 5), (3, NAN), (NAN, NAN)):
        found = lowest_cost(levels(*qualities), 2.0, LOWER)
        assert math.isnan(found.share) and not found.bound and not found.reached


def test_between_levels_the_quality_is_linear_on_its_own_scale() -> None:
    assert lowest_cost(levels(1, 4), 2.0, LOWER).share == pytest.approx(1 - 0.1 / 3)
    assert lowest_cost(levels(1, 4), 2.0, LOG).share == pytest.approx(0.95)
    # Below 0 there is no logarithm: what is left is the value itself.
    assert lowest_cost(levels(-1, 4), 2.0, LOG).share == pytest.approx(1 - 0.1 * 3 / 5)
    assert lowest_cost(levels(0, 4), 2.0, LOG).share == pytest.approx(0.95)
    assert lowest_cost(levels(1, 4), 2.0, LOG).share != lowest_cost(levels(1, 4), 2.0, LOWER).share


def test_at_equal_cost_what_was_judged_counts() -> None:
    found = lowest_cost(levels(1, 1, 3, shares=(1.0, 1.0, 1.0)), 2.0, LOWER)
    assert found == Crossing(1.0, False, True)


def test_a_margin_is_a_share_or_an_amount() -> None:
    assert Margin(0.1).limit(10, LOG) == pytest.approx(11) and Margin(0.1).label(LOG) == "+10 %"
    assert Margin(0.5, relative=False).limit(10, LOG) == 10.5 and Margin(0.5, relative=False).label(HIGHER) == "−0.5"
    assert Margin(0.25).limit(10, HIGHER) == 8 and Margin(0).limit(10, LOWER) == 10
    for wrong in (-0.01, NAN):
        with pytest.raises(ValueError, match="0 or more"):
            Margin(wrong)
    assert margins_of(FID) == [Margin(bound, relative=True) for bound in FID.bounds]
    plain = Quantity("q", "Q", "", "lower", "a number", bounds=(1.0, 2.0))
    assert margins_of(plain) == [Margin(1.0, relative=False), Margin(2.0, relative=False)]


def test_only_cells_with_a_network_count_and_of_those_without_quality_the_collapsed_ones() -> None:
    found = tidy(
        [
            make_record(strategy="dense", sparsity=0.0),
            make_record(sparsity=0.5, fid=12.0),
            make_record(sparsity=0.9, status="collapsed"),
            make_record(sparsity=0.7, status="infeasible"),
        ]
    )
    lost = found[found["status"] == "collapsed"].assign(metric="", value=NAN)
    unjudged = found[(found["level"] == "0.5")].assign(level="0.6")
    unjudged = unjudged[unjudged["metric"] != FID_COLUMN]
    frame = pd.concat([found[found["status"] != "collapsed"], lost, unjudged])
    cells = {cell["level"]: cell for cell in _cells(frame, bounds_of(found))}
    assert "0.6" not in cells and "0.7" not in cells and len(cells) == 3
    assert cells["0.5"]["quality"] == 12.0
    assert cells["0.9"]["status"] == "collapsed" and math.isnan(cells["0.9"]["quality"])
    nowhere = frame.assign(achieved_params=NAN)
    assert _cells(nowhere, bounds_of(found)) == []


def test_a_cost_is_a_share_of_dense_s() -> None:
    def cell(nonzero: float, effective: float, executed: float, network: str) -> dict[str, Any]:
        names = {"workload": "w", "checkpoint": "c", "architecture": network, "zeros": network}
        return names | {"params_nonzero": nonzero, "macs_effective": effective, "macs_dense": executed}

    cells = [cell(80.0, 300.0, 400.0, "a"), cell(20.0, 100.0, 999.0, "b")]
    assert _shares(cells, "params", {}) == (80.0, [1.0, 0.25])
    assert _shares(cells, "macs", {}) == (400.0, [0.75, 0.25])
    speed = {("w", "c", "a", "a"): {"speedup": 1.0, "dense_ms": 3.0}, ("w", "c", "b", "b"): {"speedup": 4.0}}
    found = {tuple(cells[k][name] for name in NETWORK): speed[key] for k, key in enumerate(speed)}
    assert _shares(cells, "latency", found) == (3.0, [1.0, 0.25])
    dense, shares = _shares(cells, "latency", {})
    assert math.isnan(dense) and all(map(math.isnan, shares))
    _, shares = _shares([cell(0.0, 0.0, 0.0, "a"), cells[1]], "params", {})
    assert all(map(math.isnan, shares))


def seeds(*shares: float, **others: Any) -> list[dict[str, Any]]:
    row = {"cost": "params", "dense": 8.0, "bound": False, "reached": True} | others
    return [row | {"share": share} for share in shares]


def test_over_seeds_the_mean_of_the_shares_is_what_it_costs() -> None:
    found = _over_seeds(seeds(0.25, 0.75))
    assert found["value"] == 4.0 and found["ratio"] == 2.0 and found["status"] == "ok"
    assert found["ci95"] == pytest.approx(12.706204736 * 0.25 * 8)  # t of one degree, half the range, dense
    assert (found["n"], found["reached"], found["dense"]) == (2, 2, 8.0)


def test_over_seeds_a_bound_and_what_is_not_reached() -> None:
    bound = _over_seeds([*seeds(0.5), *seeds(0.5, bound=True)])
    assert bound["status"] == "at least" and bound["value"] == 4.0 and math.isnan(bound["ci95"])
    none = _over_seeds(seeds(0.9, 0.9, reached=False))
    assert none["status"] == "not reached" and math.isnan(none["value"]) and math.isnan(none["ratio"])
    some = _over_seeds([*seeds(0.5), *seeds(0.7, reached=False)])
    assert (some["status"], some["reached"], some["value"]) == ("ok", 1, pytest.approx(4.8))
    assert _over_seeds(seeds(0.5, NAN))["n"] == 1


def test_over_seeds_masks_take_as_long_as_dense() -> None:
    same = _over_seeds(seeds(1.0, 1.0, cost="latency"))
    assert (same["status"], same["value"], same["ratio"]) == ("as dense", 8.0, 1.0) and math.isnan(same["ci95"])
    assert _over_seeds(seeds(1.0, 1.0))["status"] == "ok"
    assert _over_seeds(seeds(1.0, 0.5, cost="latency"))["status"] == "ok"
    assert _over_seeds(seeds(0.0, 0.0))["ratio"] == math.inf


@pytest.mark.parametrize("other", [{"backend": "compile"}, {"dtype": "bfloat16"}, {"threads": 4}, {"device": "cuda"}])
def test_a_speedup_is_of_the_setting_of_the_main_table_alone(other: dict[str, Any]) -> None:
    """A timing that differs in a single part of its setting is another."""
    frame = tidy([make_record(), make_record(strategy="l1-channel-global")])
    found = latency_record("mnist-dcgan", "mnist-dcgan-l1-channel-global-0.5", 1, 2.0)
    alone = _speedups(frame, latency_table([found]), 1)
    slower = latency_record("mnist-dcgan", "mnist-dcgan-l1-channel-global-0.5", 1, 0.5).model_copy(update=other)
    for both in ([found, slower], [slower, found]):
        assert {key: row["speedup"] for key, row in _speedups(frame, latency_table(both), 1).items()} == {
            key: row["speedup"] for key, row in alone.items()
        }

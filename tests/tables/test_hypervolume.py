"""The hypervolume: areas known by hand, and a reference that no strategy can move."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.statistics import hypervolume
from bench.tables import tidy
from bench.tables.hypervolume import COSTS, HYPERVOLUME_COLUMNS, _point, _tolerated, hypervolume_table
from bench.tables.lead import Judge
from bench.tasks.generation import GENERATION
from tests.report.synthetic import FID, make_record, make_records


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([], 0),
        ([(1, 1)], 4),
        ([(1, 2), (2, 1)], 3),  # an L of three unit squares
        ([(1, 2), (2, 1), (2, 2)], 3),  # dominated
        ([(2, 1), (1, 2), (1, 2)], 3),  # neither order nor repetition matters
        ([(3, 0), (0, 3), (4, 4)], 0),  # on the border and outside
        ([(0, 2.5), (1, 1), (2.5, 0)], 4 + 0.5 + 0.5),
    ],
)
def test_the_area_below_the_reference(points: list[tuple[float, float]], area: float):
    assert hypervolume(points, (3, 3)) == pytest.approx(area)


def test_a_tenth_of_the_cost_at_the_dense_fid_is_one():
    dense, pruned = make_record(strategy="dense", sparsity=0.0, fid=4.0), make_record(strategy="x-channel", fid=4.0)
    macs = float(dense.numbers["macs_dense"].value or 0)
    cheaper = {name: pruned.numbers[name].model_copy(update={"value": macs / 10}) for name in COSTS}
    pruned = pruned.model_copy(update={"numbers": pruned.numbers | cheaper})
    table = hypervolume_table(tidy([dense, pruned]))
    assert table["mean"].tolist() == pytest.approx([1.0, 1.0])
    assert table["ci95"].isna().all()  # one seed


def test_half_of_the_tolerated_decade_counts_half():
    dense = make_record(strategy="dense", sparsity=0.0, fid=4.0)
    pruned = make_record(strategy="x-channel", sparsity=0.5, fid=4.0 * math.sqrt(10))
    table = hypervolume_table(tidy([dense, pruned]))
    saved = math.log10(float(dense.numbers["macs_dense"].value or 0) / float(pruned.numbers["macs_dense"].value or 1))
    assert table["mean"].tolist() == pytest.approx([saved / 2] * 2)


def test_a_strategy_has_the_same_number_whatever_stands_beside_it():
    records = make_records()
    alone = [record for record in records if record.cell.strategy in ("dense", "l1-channel-uniform")]
    everything = hypervolume_table(tidy(records))
    mine = everything[everything["strategy"] == "l1-channel-uniform"].reset_index(drop=True)
    assert mine.equals(hypervolume_table(tidy(alone)))


def test_masks_save_nothing_that_is_executed():
    table = hypervolume_table(tidy(make_records())).set_index(["workload", "strategy", "cost"])["mean"]
    assert table["mnist-dcgan", "l1-weight-global", "macs_dense"] == 0
    assert table["mnist-dcgan", "l1-weight-global", "macs_effective"] > 0


def test_a_collapsed_seed_counts_as_nothing_and_the_others_stay():
    records = [make_record(strategy="dense", sparsity=0.0, seed=seed, fid=4.0) for seed in range(3)]
    records += [
        make_record(strategy="x-channel", seed=seed, fid=4.0, status="collapsed" if seed == 1 else "ok")
        for seed in range(3)
    ]
    row = hypervolume_table(tidy(records)).iloc[0]
    assert (row["n"], row["seeds"]) == (3, 3)
    assert row["values"][1] == 0 and row["values"][0] > 0


def test_seeds_without_a_dense_cell_are_left_out():
    records = [make_record(strategy="dense", sparsity=0.0, fid=4.0), make_record(seed=0), make_record(seed=1)]
    assert set(hypervolume_table(tidy(records))["n"]) == {1}
    assert hypervolume_table(tidy(records[1:])).empty
    assert list(hypervolume_table(tidy([])).columns) == HYPERVOLUME_COLUMNS


def test_it_is_the_leading_fid_that_counts():
    assert set(hypervolume_table(tidy(make_records()))["metric"]) == {FID}


# By hand: points in the plane of decades.


def point_of(status: str = "ok", spent: float = 1000.0, value: float = 100.0, judge: Judge | None = None) -> object:
    cell = {"status": status, "numbers": {"macs_dense": spent, "fid[j]": value}}
    return _point(cell, "macs_dense", judge or Judge(QUANTITY, "fid[j]"))


QUANTITY = GENERATION.quantity("fid")


def test_a_point_is_the_logarithm_of_the_cost_and_the_loss_on_its_scale():
    assert point_of() == pytest.approx((3.0, 2.0))
    linear, higher = replace(QUANTITY, scale="linear"), replace(QUANTITY, direction="higher")
    assert point_of(judge=Judge(linear, "fid[j]")) == pytest.approx((3.0, 100.0))
    assert point_of(judge=Judge(higher, "fid[j]")) == pytest.approx((3.0, -2.0))
    both = replace(linear, direction="higher")
    assert point_of(judge=Judge(both, "fid[j]")) == pytest.approx((3.0, -100.0))


@pytest.mark.parametrize(
    "nothing",
    [{"status": "collapsed"}, {"spent": 0.0}, {"spent": -1.0}, {"spent": math.inf}, {"spent": math.nan},
     {"value": math.nan}, {"value": math.inf}, {"value": 0.0}, {"value": -1.0}],
)  # fmt: skip
def test_what_has_no_place_in_the_plane_adds_nothing(nothing: dict[str, float]):
    assert point_of(**nothing) is None  # type: ignore[arg-type]


def test_a_value_of_nothing_has_a_place_where_no_logarithm_is_taken():
    judge = Judge(replace(QUANTITY, scale="linear"), "fid[j]")
    assert point_of(value=0.0, judge=judge) == pytest.approx((3.0, 0.0))
    assert point_of(value=-1.0, judge=judge) == pytest.approx((3.0, -1.0))


def test_the_tolerated_loss_is_in_the_units_of_the_plane():
    assert _tolerated(replace(QUANTITY, tolerated=100.0)) == pytest.approx(2.0)
    assert _tolerated(replace(QUANTITY, tolerated=100.0, scale="linear")) == 100.0


def test_cells_that_do_not_apply_and_quantities_without_a_tolerated_loss_have_no_row():
    dense = make_record(strategy="dense", sparsity=0.0, fid=4.0)
    refused = make_record(strategy="x-channel", status="not-applicable", empty=True)
    assert hypervolume_table(tidy([dense, refused])).empty
    unreachable = make_record(strategy="x-channel", status="infeasible", empty=True)
    assert hypervolume_table(tidy([dense, unreachable]))["mean"].tolist() == [0.0, 0.0]

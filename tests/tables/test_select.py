"""What may stand side by side: at equal size, equal MACs, equal speed, equal quality."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.records import LatencyRecord, Record
from bench.tables import aggregate, latency_table, summarise, tidy
from bench.tables.isoquality import Level, Margin, _about, iso_points, iso_quality, lowest_cost
from bench.tables.naming import strategy_order
from bench.tables.select import at_equal_macs, at_equal_params, at_equal_speedup
from bench.tasks import Quantity
from bench.tasks.generation import GENERATION
from bench.tasks.generation.quantities import FID
from tests.helpers.numbers import HUGE, anything, close
from tests.report.synthetic import FID as FID_COLUMN
from tests.report.synthetic import latency_record, make_latency, make_record, make_records

CHANNEL = "l1-channel-global"


def summary_of(records: list[Record], latency: list[LatencyRecord] | None = None) -> pd.DataFrame:
    frame = tidy(records)
    return summarise(frame, aggregate(frame), latency_table(latency or []))


def sparse(record: Record, params: float, macs: float, target: str = "params") -> Record:
    """``record`` with these achieved sparsities."""
    cell = record.cell.model_copy(update={"target": target})
    return record.model_copy(update={"cell": cell, "achieved_params": params, "achieved_macs": macs})


def curve(
    fids: dict[float, float], seed: int = 0, strategy: str = CHANNEL, collapsed: float | None = None
) -> list[Record]:
    """Dense (level 0) and one record for each sparsity; parameters and sparsity are exact."""
    found = []
    for sparsity, fid in fids.items():
        name = "dense" if sparsity == 0 else strategy
        record = make_record(
            strategy=name, sparsity=sparsity, seed=seed, fid=fid, status="collapsed" if sparsity == collapsed else "ok"
        )
        found.append(record.model_copy(update={"achieved_params": sparsity}))
    return found


POINT = {
    "workload": "mnist-dcgan", "checkpoint": "shipped", "recovery": "bn-recalibrate", "target": "params",
    "strategy": CHANNEL, "cost": "params", "batch": 0, "margin": "+10 %",
    "dense": 10.0, "share": 0.5, "bound": False, "reached": True,
}  # fmt: skip


def iso(records: list[Record], margin: Margin, latency: list[LatencyRecord] | None = None) -> pd.DataFrame:
    frame = tidy(records)
    return iso_quality(frame, iso_points(frame, latency_table(latency or []), [margin])).set_index("cost")


def test_at_equal_parameters_dense_comes_first_and_groups_have_their_level():
    frame = at_equal_params(summary_of(make_records()), 0.02).frame
    for _, rows in frame.groupby("workload"):
        assert rows["strategy"].iloc[0] == "dense" and math.isnan(rows["at"].iloc[0])
        assert rows["at"].iloc[1:].is_monotonic_increasing
    assert set(frame["at"].dropna()) == {0.3, 0.5, 0.7, 0.9}


def test_a_row_that_missed_its_level_is_left_out_and_named():
    records = [make_record(strategy="dense", sparsity=0.0), make_record()]
    records.append(sparse(make_record(strategy=CHANNEL, sparsity=0.9), 0.84, 0.9))
    selection = at_equal_params(summary_of(records), 0.02)
    assert list(selection.frame["strategy"]) == ["dense", "l1-weight-global"]
    assert selection.left_out == (f"mnist-dcgan {CHANNEL} at 0.9 (0.840 achieved)",)


def test_a_strategy_with_its_own_knob_stands_where_it_got_to():
    knob = "rownorm-channel+everystep"
    records = [make_record(strategy="dense", sparsity=0.0), make_record(sparsity=0.5), make_record(sparsity=0.7)]
    for threshold, achieved in ((0.1, 0.51), (0.2, 0.505), (0.3, 0.6)):
        record = make_record(strategy=knob, level={"threshold": threshold})
        records.append(record.model_copy(update={"achieved_params": achieved}))
    frame = at_equal_params(summary_of(records), 0.02).frame
    row = frame[frame["strategy"] == knob]
    assert list(row["level"]) == ["threshold-0.2"] and list(row["at"]) == [0.5]


def test_an_infeasible_row_stays_at_the_level_that_it_was_asked_for():
    frame = at_equal_params(summary_of(make_records()), 0.02).frame
    row = frame[(frame["status"] == "infeasible")]
    assert list(row["at"]) == [0.9]


def test_equal_macs_takes_rows_of_that_target_where_there_are_any():
    records = [make_record(strategy="dense", sparsity=0.0), sparse(make_record(), 0.5, 0.5)]
    records += [sparse(make_record(strategy=name), 0.4, 0.5, "macs") for name in (CHANNEL, "l1-channel-uniform")]
    frame = at_equal_macs(summary_of(records), 0.02).frame
    assert set(frame["strategy"]) == {"dense", CHANNEL, "l1-channel-uniform"}


def test_equal_macs_otherwise_takes_rows_that_agree_within_a_tenth():
    records = [make_record(strategy="dense", sparsity=0.0)]
    for name, macs in ((CHANNEL, 0.5), ("l1-channel-uniform", 0.54), ("l1-weight-global", 0.56)):
        records.append(sparse(make_record(strategy=name), 0.5, macs))
    frame = at_equal_macs(summary_of(records), 0.02).frame
    assert set(frame["strategy"]) == {"dense", CHANNEL, "l1-channel-uniform"}


def test_equal_speed_takes_the_nearest_measured_row_and_no_group_of_one():
    records = [make_record(strategy="dense", sparsity=0.0)]
    latency = []
    for strategy, speedups in ((CHANNEL, {0.5: 2.05, 0.7: 1.95}), ("l1-channel-uniform", {0.5: 2.1, 0.7: 5.0})):
        for sparsity, speedup in speedups.items():
            record = make_record(strategy=strategy, sparsity=sparsity)
            records.append(record)
            assert record.architecture is not None
            timed = latency_record("mnist-dcgan", record.architecture.hash, 1, speedup)
            latency.append(timed.model_copy(update={"speedup": speedup}))
    frame = at_equal_speedup(summary_of(records, latency), 1).frame
    assert list(frame["strategy"]) == ["dense", "l1-channel-uniform", CHANNEL]
    assert list(frame["at"].dropna()) == [2.0, 2.0]


def test_the_crossing_is_interpolated_in_log_fid():
    levels = [Level(0.0, 1.0, 1.0), Level(0.5, 10.0, 0.5), Level(0.9, 1000.0, 0.1)]
    crossing = lowest_cost(levels, 100.0, FID)
    assert crossing.share == pytest.approx(0.3) and crossing.reached and not crossing.bound
    crossing = lowest_cost(levels, math.sqrt(10), FID)
    assert crossing.share == pytest.approx(0.75) and not crossing.reached


def test_nothing_is_extrapolated_beyond_the_last_level_or_towards_a_collapse():
    levels = [Level(0.0, 1.0, 1.0), Level(0.5, 2.0, 0.5)]
    assert lowest_cost(levels, 4.0, FID) == lowest_cost([*levels, Level(0.9, math.nan, 0.1)], 4.0, FID)
    crossing = lowest_cost(levels, 4.0, FID)
    assert (crossing.share, crossing.bound, crossing.reached) == (0.5, True, True)


def test_a_curve_that_comes_back_counts_where_it_is_cheaper():
    levels = [Level(0, 1, 1.0), Level(0.3, 8, 0.7), Level(0.5, 2, 0.5), Level(0.9, 8, 0.1)]
    assert lowest_cost(levels, 4.0, FID).share == pytest.approx(0.3)


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=8), st.floats(0.01, 1e4))
@example([0.010000000000000002, 0.01], 0.01)  # two values that differ by one rounding
def test_a_looser_limit_never_costs_more_and_the_share_stays_within_the_curve(fids: list[float], limit: float):
    levels = [Level(i / len(fids), fid, 1 - i / len(fids)) for i, fid in enumerate(fids)]
    tight, loose = lowest_cost(levels, limit, FID), lowest_cost(levels, limit * 2, FID)
    if not math.isnan(tight.share):
        assert loose.share <= tight.share + 1e-12
        assert levels[-1].share - 1e-12 <= tight.share <= 1 + 1e-12


@given(close(anything, 2, 6), anything, st.sampled_from(GENERATION.quantities))
@example([0.010000000000000002, 0.01], 0.01, FID)
@example([-HUGE, HUGE], HUGE, replace(FID, scale="linear", direction="higher"))  # their difference is no number
@example([HUGE, -HUGE], -HUGE, replace(FID, scale="linear"))
def test_a_crossing_of_any_numbers_lies_on_the_curve(values: list[float], limit: float, quantity: Quantity):
    levels = [Level(i / len(values), value, 1 - i / len(values)) for i, value in enumerate(values)]
    found = lowest_cost(levels, limit, quantity)
    held = [level.share for level in levels if quantity.holds(level.quality, limit)]
    if held:
        assert levels[-1].share <= found.share <= min(held)
    else:
        assert math.isnan(found.share) and not found.reached


def test_a_seed_whose_dense_does_not_hold_the_limit_has_no_crossing():
    # A tenth more of a value below 0 is less of it.
    points = pd.DataFrame([POINT | {"seed": 0}, POINT | {"seed": 1, "share": math.nan, "reached": False}])
    frame = iso_quality(tidy(curve({0.0: 1.0, 0.5: 1.0})), points)
    assert (frame["n"][0], frame["reached"][0], frame["value"][0]) == (1, 1, 5.0)


def test_iso_quality_pairs_each_seed_with_its_own_dense():
    fids = [{0.0: base, 0.5: base, 0.9: 100 * base} for base in (1.0, 2.0, 4.0)]
    records = [record for seed, each in enumerate(fids) for record in curve(each, seed)]
    row = iso(records, Margin(9.0)).loc["params"]
    assert row["ratio"] == pytest.approx(1 / 0.3, rel=1e-4) and row["ci95"] == pytest.approx(0, abs=1e-3)
    assert (row["status"], row["n"], row["reached"], row["margin"]) == ("ok", 3, 3, "+900 %")
    assert row["value"] == pytest.approx(0.3 * 972_000, rel=1e-4)


def test_an_absolute_margin_is_added_to_dense():
    row = iso(curve({0.0: 1.0, 0.5: 10.0, 0.9: 1000.0}), Margin(99.0, relative=False)).loc["params"]
    assert row["ratio"] == pytest.approx(1 / 0.3, rel=1e-4) and row["margin"] == "+99"
    assert math.isnan(row["ci95"])


def test_the_interval_is_that_of_the_seeds():
    records = [
        r for seed, high in enumerate((10.0, 100.0, 1000.0)) for r in curve({0.0: 1.0, 0.5: 1.0, 0.9: high}, seed)
    ]
    row = iso(records, Margin(9.0)).loc["params"]
    shares = [0.1, 0.3, 0.5 - 0.4 / 3]
    mean = sum(shares) / 3
    half = 4.302652729911275 * math.sqrt(sum((share - mean) ** 2 for share in shares) / 2) / math.sqrt(3)
    assert row["status"] == "at least" and math.isnan(row["ci95"])  # the first seed still holds it at its last level
    row = iso(records, Margin(8.999)).loc["params"]
    assert row["status"] == "ok" and row["ci95"] == pytest.approx(half * 972_000, rel=1e-3)


def test_not_reached_where_the_mildest_level_exceeds_it_in_every_seed():
    records = [record for seed in range(3) for record in curve({0.0: 1.0, 0.5: 10.0}, seed)]
    assert set(iso(records, Margin(0.1))["status"]) == {"not reached"}
    mixed = [*records, *curve({0.0: 1.0, 0.5: 1.0, 0.9: 10.0}, 3)]
    row = iso(mixed, Margin(0.1)).loc["params"]
    assert (row["status"], row["reached"], row["n"]) == ("ok", 1, 4)


def test_a_collapsed_level_gives_a_bound():
    row = iso(curve({0.0: 1.0, 0.5: 1.0, 0.9: 50.0}, collapsed=0.9), Margin(0.1)).loc["params"]
    assert row["status"] == "at least" and row["ratio"] == pytest.approx(2, rel=1e-4)


def test_latency_at_equal_quality_is_dense_over_the_measured_speed_up():
    records = curve({0.0: 1.0, 0.5: 1.0, 0.9: 100.0})
    latency = []
    for record, speedup in zip(records[1:], (2.0, 10.0), strict=True):
        assert record.architecture is not None
        timed = latency_record("mnist-dcgan", record.architecture.hash, 1, speedup)
        latency.append(timed.model_copy(update={"speedup": speedup}))
    row = iso(records, Margin(9.0), latency).loc["latency"]
    assert row["ratio"] == pytest.approx(1 / 0.3) and row["batch"] == 1
    assert row["value"] == pytest.approx(0.3 * latency[0].dense_ms)  # type: ignore[operator]


def test_masks_are_no_faster_at_any_quality():
    records = make_records()
    frame = iso(records, Margin(0.5), make_latency(records))
    rows = frame[(frame["strategy"] == "l1-weight-global")].loc["latency"]
    assert set(rows["ratio"]) == {1.0}


def test_a_margin_is_never_negative():
    with pytest.raises(ValueError, match="0 or more"):
        Margin(-0.1)


def test_the_interval_of_a_row_with_several_architectures_holds_those_of_all():
    first, other = make_record(strategy=CHANNEL, sparsity=0.5), make_record(strategy=CHANNEL, sparsity=0.7)
    second = make_record(strategy=CHANNEL, sparsity=0.5, seed=1).model_copy(update={"architecture": other.architecture})
    latency = []
    for record, low, middle, high in ((first, 1.8, 2.0, 2.1), (second, 1.9, 3.0, 3.5)):
        assert record.architecture is not None
        values = {"speedup": middle, "speedup_low": low, "speedup_high": high}
        latency.append(latency_record("mnist-dcgan", record.architecture.hash, 1, middle).model_copy(update=values))
    dense = [make_record(strategy="dense", sparsity=0.0, seed=seed) for seed in (0, 1)]
    summary = summary_of([*dense, first, second], latency).set_index("strategy").loc[CHANNEL]
    found = [summary[f"speedup_b1{end}"] for end in ("_low", "", "_high")]
    assert found == pytest.approx([1.8, 2.5, 3.5])


# Rows by hand: only what a selection looks at.


def rows(*given: tuple[str, str, float, float, float], **others: object) -> pd.DataFrame:
    """(strategy, target, requested, achieved of parameters, achieved of MACs), and dense of the same place."""
    place = {"workload": "w", "checkpoint": "c", "recovery": "r", "status": "ok", "speedup_b1": math.nan}
    names = ("strategy", "target", "requested", "achieved_params", "achieved_macs")
    dense = ("dense", "params", 0.0, 0.0, 0.0)
    return pd.DataFrame([place | dict(zip(names, row, strict=True)) | others for row in (dense, *given)])


def chosen(frame: pd.DataFrame) -> list[tuple[str, float, float]]:
    """(strategy, level, distance) of each selected row but dense."""
    assert frame["strategy"].iloc[0] == "dense" and math.isnan(frame["at"].iloc[0]) if len(frame) else True
    return [(row.strategy, row.at, row.off) for row in frame.iloc[1:].itertuples()]


@pytest.mark.parametrize(("achieved", "stands"), [(0.48, True), (0.52, True), (0.4795, False), (0.5205, False)])
def test_a_row_stands_at_its_level_up_to_the_tolerance_itself(achieved: float, stands: bool):
    selection = at_equal_params(rows(("a", "params", 0.5, achieved, 0.1), ("b", "params", 0.5, 0.5, 0.1)), 0.02)
    found = chosen(selection.frame)
    assert [name for name, *_ in found] == (["a", "b"] if stands else ["b"])
    shown = f"{achieved:.3f}"
    assert selection.left_out == (() if stands else (f"w a at 0.5 ({shown} achieved)",))
    if stands:
        assert found[0][1:] == (0.5, pytest.approx(0.02))


def test_a_row_stands_at_its_own_level_even_where_another_one_is_nearer():
    frame = rows(("a", "params", 0.5, 0.69, 0.1), ("b", "params", 0.7, 0.7, 0.1), ("k", "params", math.nan, 0.69, 0.1))
    selection = at_equal_params(frame, 0.02)
    assert chosen(selection.frame) == [("b", 0.7, 0.0), ("k", 0.7, pytest.approx(0.01))]
    assert selection.left_out == ("w a at 0.5 (0.690 achieved)",)  # one with a knob of its own is never named


def test_levels_may_be_given_and_rows_of_others_are_not_looked_at():
    frame = rows(("b", "params", 0.7, 0.2, 0.1), ("a", "params", 0.5, 0.5, 0.1))
    selection = at_equal_params(frame, 0.02, levels=[0.5])
    assert chosen(selection.frame) == [("a", 0.5, 0.0)] and selection.left_out == ()


def test_of_a_strategy_the_nearest_row_counts_and_the_first_of_equals():
    frame = rows(
        ("k", "params", math.nan, 0.51, 0.1), ("k", "params", math.nan, 0.495, 0.2),
        ("k", "params", math.nan, 0.505, 0.3), ("b", "params", 0.5, 0.5, 0.4),
    )  # fmt: skip
    found = at_equal_params(frame, 0.02).frame
    assert found[found["strategy"] == "k"]["achieved_macs"].tolist() == [0.2]


def test_only_rows_of_the_target_are_matched_on_it_where_there_are_any():
    frame = rows(("a", "params", 0.5, 0.5, 0.5), ("b", "macs", 0.5, 0.1, 0.49), ("c", "macs", 0.3, 0.1, 0.31))
    assert chosen(at_equal_macs(frame, 0.02).frame) == [
        ("c", 0.3, pytest.approx(0.01)),
        ("b", 0.5, pytest.approx(0.01)),
    ]
    assert [name for name, *_ in chosen(at_equal_params(frame, 0.02).frame)] == ["a"]


@pytest.mark.parametrize(("kept", "stands"), [(0.55, True), (0.45, True), (0.5503, False), (0.4497, False)])
def test_without_such_rows_what_is_kept_may_differ_by_a_tenth_of_it(kept: float, stands: bool):
    frame = rows(("a", "params", 0.5, 0.5, 0.5), ("b", "params", 0.5, 0.5, 1 - kept))
    found = chosen(at_equal_macs(frame, 0.02).frame)
    assert [name for name, *_ in found] == (["a", "b"] if stands else [])  # one alone is no comparison
    if stands:
        assert found[1][1:] == (0.5, pytest.approx(0.1))


def test_a_row_without_a_network_stays_at_its_level():
    frame = rows(("a", "params", 0.5, 0.5, 0.5), ("b", "params", 0.5, math.nan, math.nan))
    frame.loc[2, "status"] = "infeasible"
    found = chosen(at_equal_params(frame, 0.02).frame)
    assert [name for name, *_ in found] == ["a", "b"] and math.isnan(found[1][2])


@pytest.mark.parametrize(
    ("speedup", "level"), [(1.8, 2.0), (2.2, 2.0), (2.21, None), (1.66, None), (2.71, 3.0), (30.0, None)]
)
def test_a_measured_speedup_stands_at_the_nearest_level_within_a_tenth(speedup: float, level: float | None):
    frame = rows(*((name, "params", 0.5, 0.5, 0.5) for name in ("untimed", "a", "b")))
    frame["speedup_b1"] = [math.nan, math.nan, speedup, speedup]
    selection = at_equal_speedup(frame, 1)
    assert [(name, at) for name, at, _ in chosen(selection.frame)] == ([("a", level), ("b", level)] if level else [])
    assert selection.batch == 1 and selection.axis == "speedup"
    assert "within 10 % of the level's" in selection.how


def test_a_collapsed_row_stands_by_what_it_reached_and_one_without_a_number_nowhere():
    frame = rows(("a", "params", 0.5, 0.51, 0.5), ("b", "params", 0.5, 0.5, 0.5), ("c", "params", 0.5, math.nan, 0.5))
    frame.loc[1, "status"] = "collapsed"
    selection = at_equal_params(frame, 0.02)
    assert chosen(selection.frame) == [("a", 0.5, pytest.approx(0.01)), ("b", 0.5, 0.0)]
    assert selection.left_out == ("w c at 0.5 (nan achieved)",)


def test_where_nobody_asked_for_a_level_nothing_is_selected():
    frame = rows(("k", "params", math.nan, 0.5, 0.5), ("m", "params", math.nan, 0.5, 0.5))
    assert at_equal_macs(frame, 0.02).frame.empty and at_equal_params(frame, 0.02).frame.empty
    assert at_equal_speedup(frame, 1, levels=()).frame.empty


# Costs at equal quality, from records.


def crossing_points(records: list[Record], latency: list[LatencyRecord] | None = None) -> pd.DataFrame:
    return iso_points(tidy(records), latency_table(latency or []), [Margin(9.0)])


def test_counts_have_no_batch_and_times_those_that_are_asked_for():
    records = curve({0.0: 1.0, 0.5: 1.0, 0.9: 100.0})
    assert records[1].architecture is not None
    timed = [latency_record("mnist-dcgan", records[1].architecture.hash, batch, 2.0) for batch in (1, 16, 4)]
    points = crossing_points(records, timed)
    assert list(zip(points["cost"], points["batch"], strict=True)) == [
        ("params", 0), ("macs", 0), ("latency", 1), ("latency", 16),
    ]  # fmt: skip
    assert set(points["margin"]) == {"+900 %"} and points["reached"].all()


def test_seeds_without_dense_and_workloads_that_nothing_bounds_are_missing_and_the_others_are_there():
    alone = curve({0.5: 1.0, 0.9: 2.0}, seed=7)
    whole = curve({0.0: 1.0, 0.5: 1.0}, seed=8)
    unjudged = [
        make_record("mnist-mlp", "dense" if sparsity == 0 else CHANNEL, sparsity, seed=9).model_copy(
            update={"numbers": {name: number for name, number in make_record().numbers.items() if "fid" not in name}}
        )
        for sparsity in (0.0, 0.5)
    ]
    assert set(crossing_points([*unjudged, *alone, *whole])["seed"]) == {8}


def test_a_level_that_was_not_timed_is_passed_over_and_without_dense_s_time_there_is_none():
    records = curve({0.0: 1.0, 0.5: 1.0, 0.9: 1.0})
    assert records[2].architecture is not None
    timed = latency_record("mnist-dcgan", records[2].architecture.hash, 1, 4.0).model_copy(update={"speedup": 4.0})
    points = crossing_points(records, [timed]).set_index("cost")
    assert points.loc["latency", "share"] == pytest.approx(0.25) and points.loc["latency", "bound"]
    lost = timed.model_copy(update={"status": "unstable"})
    assert "latency" not in set(crossing_points(records, [lost])["cost"])


def test_a_curve_is_described_by_its_cells_and_curves_stand_in_the_order_of_strategies():
    names = ("l1-channel-global", "taylor-channel-global", "random-channel-uniform", "l1-channel-uniform")
    records = [record for name in names for record in curve({0.0: 1.0, 0.5: 1.0}, strategy=name)]
    frame = tidy([*curve({0.0: 1.0}), *(record for record in records if record.cell.strategy != "dense")])
    table = iso_quality(frame, iso_points(frame, latency_table([]), [Margin(0.1)]))
    shown = list(dict.fromkeys(table["strategy"]))
    assert shown == sorted(names, key=strategy_order) != sorted(names)
    first = table.iloc[0]
    assert (first["metric"], first["num_images"], first["version"], first["granularity"]) == (
        FID_COLUMN,
        1000,
        "1",
        "channel",
    )
    assert (bool(first["physical"]), first["varies"], first["task"]) == (True, "calibrate+eval", "generation")


def test_a_curve_of_a_single_row_is_described_too():
    frame = tidy([make_record(strategy=CHANNEL, status="collapsed", empty=True)])
    ((key, about),) = _about(frame).items()
    assert key[-1] == CHANNEL
    assert (about["granularity"], about["task"], about["version"], about["physical"]) == (
        "channel",
        "generation",
        "",
        True,
    )

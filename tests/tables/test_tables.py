"""Known answers for the tables."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pandas as pd
import pytest

from bench.base.errors import UserError
from bench.statistics import holm, paired_p, t_interval
from bench.tables import (
    AGGREGATED_COLUMNS,
    TIDY_COLUMNS,
    aggregate,
    escape,
    granularity_of,
    latency_table,
    run_tables,
    tidy,
    wide,
    with_latency,
    write_tables,
)
from tests.report.synthetic import FID, latency_record, make_latency, make_record, make_records


def one(frame: pd.DataFrame, **where: object) -> pd.Series:
    """The only row with these values."""
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def pruned_and_dense(pruned: list[float], dense: list[float]) -> pd.DataFrame:
    records = [make_record(fid=value, seed=seed) for seed, value in enumerate(pruned)]
    records += [make_record(strategy="dense", sparsity=0.0, fid=value, seed=seed) for seed, value in enumerate(dense)]
    return aggregate(tidy(records))


def test_the_t_interval_of_three_values_has_the_textbook_half_width():
    interval = t_interval([1.0, 2.0, 3.0])
    assert (interval.n, interval.mean, interval.std) == (3, 2.0, 1.0)
    assert interval.half == pytest.approx(4.302652729911275 / math.sqrt(3), rel=1e-9)


def test_one_value_has_no_interval_and_equal_values_have_one_of_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone, equal = t_interval([0.1]), t_interval([0.1, 0.1, 0.1])
    assert math.isnan(alone.half) and alone.note == "one seed: no interval"
    assert equal.half == 0.0 and equal.mean == 0.1 and equal.note == "no spread over seeds"


def test_the_paired_p_value_is_that_of_scipy():
    from scipy.stats import ttest_1samp

    differences = [0.3, 0.5, 0.1, 0.4]
    assert paired_p(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue)
    assert paired_p(differences, 1.0) == pytest.approx(ttest_1samp(differences, 1, alternative="less").pvalue)


def test_holm_is_a_step_down_and_ignores_what_was_not_tested():
    assert holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)


def test_the_granularity_is_read_from_the_name():
    names = ["l1-weight-global", "l1-nm-2-4", "rownorm-channel+everystep", "dense", "mine"]
    assert [granularity_of(name) for name in names] == ["weight", "nm", "channel", "dense", "other"]


def test_tidy_has_a_row_for_each_number_and_one_for_a_cell_without_numbers():
    frame = tidy([make_record(), make_record("mnist-mlp", empty=True, status="infeasible", reason="too much")])
    assert list(frame.columns) == TIDY_COLUMNS
    assert len(frame) == 8
    assert one(frame, metric="")["reason"] == "too much"
    assert one(frame, metric=FID)["num_images"] == 1000


def test_wide_has_a_row_for_each_cell():
    frame = wide([make_record(fid=3.5), make_record(seed=1, fid=None)])
    assert len(frame) == 2
    assert frame[FID].tolist()[0] == 3.5 and math.isnan(frame[FID].tolist()[1])


def test_a_strategy_with_its_own_knob_has_no_requested_sparsity():
    frame = tidy([make_record(level={"threshold": 0.2})])
    assert set(frame["level"]) == {"threshold-0.2"} and frame["requested"].isna().all()


def test_differences_to_dense_are_paired_by_seed():
    row = one(pruned_and_dense([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]), strategy="l1-weight-global", metric=FID)
    assert row["mean"] == pytest.approx(22.0) and row["std"] == pytest.approx(11.0)
    assert row["delta_mean"] == pytest.approx(2.0) and row["delta_std"] == pytest.approx(1.0)
    assert row["delta_ci95"] == pytest.approx(4.302652729911275 / math.sqrt(3))


def test_only_seeds_that_both_have_enter_the_difference():
    row = one(pruned_and_dense([11.0, 22.0, 33.0], [10.0, 20.0]), strategy="l1-weight-global", metric=FID)
    assert (row["n"], row["delta_n"]) == (3, 2) and row["delta_mean"] == pytest.approx(1.5)


def test_dense_of_another_recovery_is_no_partner():
    records = [make_record(), make_record(strategy="dense", sparsity=0.0, recovery="none")]
    assert one(aggregate(tidy(records)), strategy="l1-weight-global", metric=FID)["delta_n"] == 0


def test_a_collapsed_seed_takes_the_mean_away_but_not_the_parameters():
    records = [make_record(seed=seed, status="collapsed" if seed else "ok") for seed in range(3)]
    frame = aggregate(tidy(records))
    fid, params = one(frame, metric=FID), one(frame, metric="params")
    assert fid["collapsed"] == "collapsed 2/3" and math.isnan(fid["mean"]) and fid["n"] == 1
    assert params["mean"] == 972_000 and params["collapsed"] == "" and params["ci95"] == 0.0


def test_collapse_counts_seeds_that_have_no_numbers():
    records = [make_record(seed=0), make_record(seed=1, status="collapsed", empty=True)]
    assert one(aggregate(tidy(records)), metric=FID)["collapsed"] == "collapsed 1/2"


def test_different_versions_of_a_metric_are_refused_by_name():
    mixed = [make_record(version="1"), make_record(seed=1, version="2")]
    with pytest.raises(UserError, match=r"mnist-dcgan, fid\[mnist-lenet\]: version 1, 1000 images in .* version 2"):
        tidy(mixed)
    with pytest.raises(UserError, match="version 2"):
        wide(mixed)


def test_different_numbers_of_images_are_refused():
    with pytest.raises(UserError, match="5000 images"):
        tidy([make_record(), make_record(seed=1, num_images=5000)])


def test_masked_cells_share_the_latency_of_dense():
    records = [make_record(), make_record(strategy="l1-channel-global")]
    latency = latency_table([latency_record("mnist-dcgan", "mnist-dcgan-l1-channel-global-0.5", 1, 2.0)])
    joined = with_latency(wide(records), latency)
    masked, channel = (one(joined, strategy=name) for name in ("l1-weight-global", "l1-channel-global"))
    assert masked["speedup"] == 1.0 and masked["latency_status"] == "same-as-dense"
    assert channel["latency_status"] == "ok" and 1.7 < channel["speedup"] < 2.3


def test_the_main_table_starts_each_group_with_dense(tmp_path: Path):
    records = make_records()
    write_tables(tmp_path, run_tables(records, make_latency(records)))
    summary = pd.read_csv(tmp_path / "summary.csv")
    first = summary.groupby("workload").first()
    assert first["strategy"].tolist() == ["dense", "dense"]
    row = one(summary, workload="mnist-dcgan", strategy="l1-channel-uniform", level=0.5)
    assert row["params_ratio"] == pytest.approx(2.0)
    assert row["speedup_theoretical"] == pytest.approx(2**0.9, rel=1e-3)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}"
        for name in ("summary", "cells", "metrics", "latency", "claims", "hypervolume")
        for kind in ("csv", "md")
    }


def test_the_order_of_the_records_does_not_matter(tmp_path: Path):
    records = make_records()
    first = write_tables(tmp_path / "a", run_tables(records, make_latency(records)))["summary.md"].read_text()
    again = write_tables(tmp_path / "b", run_tables(records[::-1], make_latency(records)))["summary.md"].read_text()
    assert again == first


def test_no_records_give_empty_tables_with_their_columns(tmp_path: Path):
    assert list(aggregate(tidy([])).columns) == AGGREGATED_COLUMNS
    assert write_tables(tmp_path, run_tables([]))["summary.md"].read_text() == "*no cells*\n"


HOSTILE = ["a|b", "<script>alert(1)</script>", "[x](javascript:y)", "a\nb", "`code`", "*b*"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_cannot_break_out_of_a_table(name: str, tmp_path: Path):
    text = write_tables(tmp_path, run_tables([make_record(strategy=name)]))["summary.md"].read_text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert "<script" not in text and "](" not in text and len(table) == 3
    assert {line.replace("\\|", "").count("|") for line in table} == {20}
    assert "\n" not in escape(name)

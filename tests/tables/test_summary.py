"""The main table's numbers, each from the cells that it is of."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from bench.records import LatencyRecord, Record
from bench.tables import aggregate, latency_table, summarise, tidy
from bench.tables.summary import SHOWN_BATCHES, _describe, _ratio, summary_columns
from bench.tasks import task_named
from tests.report.synthetic import FID, latency_record, make_record

CHANNEL = "l1-channel-global"


def row_of(records: list[Record], latency: list[LatencyRecord] | None = None, strategy: str = CHANNEL) -> pd.Series:
    frame = tidy(records)
    table = summarise(frame, aggregate(frame), latency_table(latency or []))
    found = table[table["strategy"] == strategy]
    assert len(found) == 1
    return found.iloc[0]


def counting(record: Record, **counts: float) -> Record:
    numbers = {name: record.numbers[name].model_copy(update={"value": value}) for name, value in counts.items()}
    return record.model_copy(update={"numbers": record.numbers | numbers})


DENSE = counting(
    make_record(strategy="dense", sparsity=0.0, fid=4.0),
    params=800,
    params_nonzero=800,
    macs_dense=600,
    macs_effective=600,
)
SMALL = counting(
    make_record(strategy=CHANNEL, fid=5.0), params=400, params_nonzero=200, macs_dense=300, macs_effective=100
)


def test_ratios_are_those_of_dense_to_the_pruned_network() -> None:
    row = row_of([DENSE, SMALL])
    assert (row["params"], row["params_nonzero"], row["macs_dense"], row["macs_effective"]) == (400, 200, 300, 100)
    assert (row["params_ratio"], row["params_nonzero_ratio"], row["macs_dense_ratio"]) == (2, 4, 2)
    assert row["speedup_theoretical"] == 6  # what dense executes, by what is left of it
    assert row_of([DENSE, SMALL], strategy="dense")["params_ratio"] == 1


def test_without_dense_there_is_no_ratio() -> None:
    row = row_of([SMALL])
    assert row["params"] == 400 and row[["params_ratio", "macs_dense_ratio", "speedup_theoretical"]].isna().all()
    assert [_ratio(*x) for x in ((8.0, 2.0), (0.0, 2.0))] == [4, 0]
    assert all(math.isnan(_ratio(*x)) for x in ((None, 2.0), (8.0, 0.0), (8.0, math.nan)))


def test_dense_of_another_recovery_is_still_the_network_that_was_pruned() -> None:
    other = DENSE.model_copy(update={"cell": DENSE.cell.model_copy(update={"recovery": "none"})})
    assert row_of([other, SMALL])["params_ratio"] == 2
    elsewhere = DENSE.model_copy(update={"cell": DENSE.cell.model_copy(update={"workload": "mnist-mlp"})})
    assert math.isnan(row_of([elsewhere, SMALL])["params_ratio"])


def test_quality_stands_with_its_metric_and_its_difference_to_dense() -> None:
    row = row_of([DENSE, SMALL])
    assert (row["fid_metric"], row["fid_mean"], row["fid_delta_mean"], row["fid_num_images"]) == (FID, 5.0, 1.0, 1000)
    assert (row["kid_metric"], row["is_metric"]) == ("", "is[mnist-lenet]") and math.isnan(row["kid_mean"])
    assert (row["n"], row["status"], row["collapsed"]) == (1, "ok", "")
    task = task_named("generation")
    names = summary_columns([task, task])
    assert len(names) == len(set(names)) and "is_delta_mean" not in names and "is_finite_mean" in names


def test_n_is_that_of_what_judges_and_collapsed_seeds_are_counted_apart() -> None:
    collapsed = SMALL.model_copy(update={"status": "collapsed", "cell": SMALL.cell.model_copy(update={"seed": 1})})
    row = row_of([DENSE, SMALL, collapsed])
    assert (row["n"], row["finite_n"], row["collapsed"]) == (1, 2, "collapsed 1/2")


def latency_of(low: float, middle: float, high: float, name: str, batch: int = 1) -> LatencyRecord:
    values = {"speedup": middle, "speedup_low": low, "speedup_high": high, "pruned_ms": 8.0 / middle}
    return latency_record("mnist-dcgan", name, batch, middle).model_copy(update=values)


def test_a_measured_speedup_is_the_mean_over_architectures_within_the_widest_interval() -> None:
    assert SHOWN_BATCHES == (1, 16)
    other = make_record(strategy=CHANNEL, sparsity=0.7).architecture
    second = SMALL.model_copy(update={"architecture": other, "cell": SMALL.cell.model_copy(update={"seed": 1})})
    assert SMALL.architecture is not None and other is not None
    latency = [
        latency_of(1.5, 2.0, 2.5, SMALL.architecture.hash),
        latency_of(3.0, 4.0, 4.5, other.hash),
        latency_of(7.0, 8.0, 9.0, other.hash, batch=16),
    ]
    row = row_of([DENSE, SMALL, second], latency)
    assert [row[f"speedup_b1{end}"] for end in ("_low", "", "_high")] == [1.5, 3.0, 4.5]
    assert [row[f"speedup_b16{end}"] for end in ("_low", "", "_high")] == [7.0, 8.0, 9.0]
    assert (row["latency_b1_ms"], row["latency_b16_ms"]) == (3.0, 1.0)
    assert row["latency_status"] == "ok"
    assert row["latency_setting"] == "cpu (Some CPU @ 2.0GHz), eager, float32, 1 thread"


def test_a_setting_in_words() -> None:
    setting = {"device": "cpu", "device_model": "M", "backend": "eager", "dtype": "float32", "threads": 2}
    assert _describe(setting) == "cpu (M), eager, float32, 2 threads"
    assert _describe(setting | {"threads": 1}).endswith(", 1 thread")


@pytest.mark.parametrize("other", [{"backend": "compile"}, {"threads": 4}])
def test_only_the_setting_that_is_named_is_shown(other: dict[str, object]) -> None:
    assert SMALL.architecture is not None
    shown = latency_of(1.5, 2.0, 2.5, SMALL.architecture.hash)
    row = row_of([DENSE, SMALL], [shown.model_copy(update=other | {"speedup": 99.0}), shown])
    assert row["speedup_b1"] == 2.0 and math.isnan(row["speedup_b16"])

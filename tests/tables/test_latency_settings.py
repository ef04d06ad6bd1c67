"""Timings beside cells: which setting is shown, what dense itself took, and how far a 1 is from 1."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.records import LatencyRecord
from bench.tables.latency import SAME, latency_table, main_setting, timing_noise, with_latency
from tests.report.synthetic import latency_record


def timed(name: str = "small", speedup: float = 2.0, **others: Any) -> LatencyRecord:
    """A pruned network (or ``w-dense``: dense itself) of workload ``w`` on batches of 1."""
    exact = {"speedup": speedup, "speedup_low": 0.9 * speedup, "speedup_high": 1.2 * speedup, "speedup_cpu": speedup}
    exact |= {"dense_ms": 6.0, "pruned_ms": 6.0 / speedup}
    return latency_record("w", name, 1, speedup).model_copy(update=exact | others)


def setting_of(*records: LatencyRecord) -> dict[str, Any]:
    found = main_setting(latency_table(records))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("better", "worse", "name"),
    [
        ({"device": "cpu"}, {"device": "cuda", "backend": "eager", "threads": 1}, "device"),
        ({"backend": "eager"}, {"backend": "compile", "threads": 0}, "backend"),
        ({"dtype": "float32", "threads": 2}, {"dtype": "bfloat16", "threads": 1}, "dtype"),
        ({"threads": 1}, {"threads": 2}, "threads"),
        ({"device_model": "A"}, {"device_model": "B"}, "device_model"),
        ({"device": "cpu", "backend": "compile"}, {"device": "cuda", "backend": "eager"}, "device"),
        ({"backend": "eager", "dtype": "bfloat16"}, {"backend": "compile", "dtype": "float32"}, "backend"),
    ],
)
def test_the_main_table_shows_the_plainest_setting(better: dict[str, Any], worse: dict[str, Any], name: str) -> None:
    first, second = timed(**better), timed(**worse)
    for both in ((first, second), (second, first)):
        assert setting_of(*both)[name] == better[name]
    assert main_setting(latency_table([])) is None


def test_a_row_counts_what_was_not_interrupted_and_knows_no_time_that_was_disturbed() -> None:
    record = timed()
    samples = [sample.model_copy(update={"interrupted": k < 2}) for k, sample in enumerate(record.samples)]
    table = latency_table(
        [
            record.model_copy(update={"samples": samples}),
            record.model_copy(update={"status": "unstable", "reason": "x"}),
        ]
    )
    assert table["pairs"].tolist() == [3, 5] and table["blocks"].tolist() == [5, 5]
    assert table["latency_status"].tolist() == ["ok", "unstable"] and table["latency_reason"].tolist() == ["", "x"]
    assert table["speedup"][0] == 2.0 and table.loc[1, ["dense_ms", "speedup", "speedup_cpu"]].isna().all()


def cells(*architectures: str, zeros: list[str] | None = None) -> pd.DataFrame:
    table = pd.DataFrame({"workload": "w", "checkpoint": "shipped", "architecture": list(architectures)})
    return table if zeros is None else table.assign(zeros=zeros)


def test_dense_takes_the_median_of_what_it_was_timed_against_and_is_as_fast_as_itself() -> None:
    records = [
        timed(f"n{k}", dense_ms=ms, dense_ms_min=ms - 1, dense_ms_p95=ms + 1) for k, ms in enumerate((4.0, 5.0, 9.0))
    ]
    records.append(timed("n3", status="unstable", dense_ms=100.0))
    dense, small, unknown = with_latency(cells("w-dense", "n0", "never"), latency_table(records)).to_dict("records")
    assert (dense["dense_ms"], dense["pruned_ms"], dense["dense_ms_min"], dense["pruned_ms_p95"]) == (5, 5, 4, 6)
    assert [dense[f"speedup{end}"] for end in ("", "_low", "_high", "_cpu")] == [1.0] * 4
    assert (dense["latency_status"], dense["pairs"], dense["blocks"]) == (SAME, 0, 0)
    assert (small["speedup"], small["latency_status"]) == (2.0, "ok")
    assert math.isnan(unknown["speedup"]) and math.isnan(unknown["batch"])


def test_a_ratio_of_dense_to_itself_is_no_speedup() -> None:
    found = with_latency(cells("w-dense"), latency_table([timed("w-dense", 1.1), timed("small")]))
    assert found["speedup"].tolist() == [1.0] and found["latency_status"].tolist() == [SAME]


def test_backends_that_skip_zeros_fit_by_the_zeros_and_dense_kernels_by_the_architecture() -> None:
    sparse = [
        timed("w-dense", 3.0, backend="csr", zeros="z"),
        timed("w-dense", 4.0, backend="csr", zeros="y"),
        timed("small", 2.0),
    ]
    found = with_latency(cells("w-dense", "w-dense", "small", "never", zeros=["z", "", "", ""]), latency_table(sparse))
    dense, small = ("w-dense", "eager", 1.0), ("small", "eager", 2.0)
    assert [(row["architecture"], row["backend"], row["speedup"]) for row in found.to_dict("records")[:-1]] == [
        dense,
        ("w-dense", "csr", 3.0),  # of the cell whose zeros these are
        dense,
        ("w-dense", "csr", 1.0),  # without zeros of its own it is dense itself
        small,
    ]
    assert found["architecture"].iloc[-1] == "never"
    assert {"_cell", "index"}.isdisjoint(found.columns) and found.index.tolist() == [*range(6)]
    assert "_cell" not in found and math.isnan(found["speedup"].iloc[-1])


def test_the_noise_of_a_timing_is_what_dense_against_itself_missed_at_most() -> None:
    itself = [
        timed("w-dense", 1.0, speedup_low=0.97, speedup_high=1.02),
        timed("w-dense", 1.01, speedup_low=1.0, speedup_high=1.05),
    ]
    assert timing_noise(latency_table([*itself, timed()])) == "dense timed against itself is within 5.0 % of 1"
    assert timing_noise(latency_table([itself[0], timed()])) == "dense timed against itself is within 3.0 % of 1"
    disturbed = itself[1].model_copy(update={"status": "unstable"})
    assert timing_noise(latency_table([itself[0], disturbed])).endswith("within 3.0 % of 1")


def test_else_the_noise_is_half_of_the_median_width_of_an_interval() -> None:
    widths = [timed(f"n{k}", 2.0, speedup_low=2 - w, speedup_high=2 + w) for k, w in enumerate((0.1, 0.2, 0.8))]
    assert timing_noise(latency_table(widths)) == "the median interval of a timing is ± 10.0 %"
    other = [one.model_copy(update={"backend": "compile", "speedup_high": 9.0}) for one in widths]
    assert timing_noise(latency_table([*widths, *other])) == "the median interval of a timing is ± 10.0 %"
    assert timing_noise(latency_table([])) == ""
    assert timing_noise(latency_table([timed(status="unstable")])) == ""

"""One row for each network, batch and backend, by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from bench.tables import aggregate, latency_table, summarise, tidy
from bench.tables.backends import _MEANS, ORDER, _row, by_backend, place
from bench.tables.latency import SETTING
from tests.report.synthetic import latency_record, make_record


def group(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """Rows of status, reason, value (the interval is half of it and twice of it) and output error."""
    return pd.DataFrame(
        [
            dict.fromkeys(SETTING, "x")
            | dict.fromkeys(_MEANS, value)
            | {"backend": "b", "dense_backend": "", "latency_status": status, "latency_reason": reason}
            | {"speedup_low": value / 2, "speedup_high": value * 2, "output_error": error, "noise": 1.0}
            for status, reason, value, error in rows
        ]
    )


def test_what_was_timed_is_averaged_within_the_widest_interval() -> None:
    row = _row(group(("ok", "", 2.0, 0.25), ("ok", "", 4.0, 0.125), ("refused", "too far", 100.0, 0.5)), 3.0)
    assert {name: row[name] for name in _MEANS} == dict.fromkeys(_MEANS, 3.0)
    assert (row["speedup_low"], row["speedup_high"], row["output_error"]) == (1.0, 8.0, 0.5)
    assert (row["status"], row["reason"], row["speedup_theoretical"]) == ("ok; refused", "too far", 3.0)


def test_reasons_are_said_once_and_in_order() -> None:
    row = _row(group(("refused", "z", 1.0, 0.0), ("refused", "a", 1.0, 0.0), ("invalid", "z", 1.0, 0.0)), 0.0)
    assert (row["status"], row["reason"]) == ("invalid; refused", "a; z")
    assert all(math.isnan(row[name]) for name in (*_MEANS, "speedup_low", "speedup_high", "speedup_theoretical"))


@pytest.mark.parametrize(("named", "expected"), [("", "b"), ("eager", "eager")])
def test_dense_ran_as_the_pruned_one_did_unless_it_is_said(named: str, expected: str) -> None:
    assert _row(group(("ok", "", 1.0, 0.0)).assign(dense_backend=named), 1.0)["dense_backend"] == expected


def test_backends_stand_in_their_order_and_unknown_ones_behind_by_name() -> None:
    names = [*reversed(ORDER), "zz", "aa"]
    assert sorted(names, key=place) == [*ORDER, "aa", "zz"]
    assert place(ORDER[0]) == (0, ORDER[0]) and place("zz") == (len(ORDER), "zz")


def test_each_network_stands_with_its_theory_on_every_setting_that_was_timed() -> None:
    strategy = "l1-channel-global"
    dense, small = make_record(strategy="dense", sparsity=0.0), make_record(strategy=strategy)
    other = make_record(strategy="rownorm-channel+everystep", sparsity=0.7)
    assert small.architecture is not None and other.architecture is not None
    latency = [
        latency_record("mnist-dcgan", small.architecture.hash, batch, 2.0).model_copy(
            update={"speedup": speedup, "backend": backend}
        )
        for backend, batch, speedup in (("onnx", 1, 4.0), ("eager", 16, 3.0), ("eager", 1, 2.0))
    ]
    frame = tidy([dense, small, other])
    table = by_backend(frame, summarise(frame, aggregate(frame), latency_table(latency)), latency_table(latency))
    assert [(row["strategy"], row["backend"], row["batch"], row["speedup"]) for row in table.to_dict("records")] == [
        (strategy, "eager", 1, 2.0),
        (strategy, "onnx", 1, 4.0),
        (strategy, "eager", 16, 3.0),
    ]
    theory = float(dense.numbers["macs_dense"].value or 0) / float(small.numbers["macs_effective"].value or 1)
    assert table["speedup_theoretical"].tolist() == pytest.approx([theory] * 3)
    assert set(table["status"]) == {"ok"} and set(table["dense_backend"]) == {"eager", "onnx"}
    assert by_backend(frame, pd.DataFrame(), latency_table(latency))["speedup_theoretical"].isna().all()
    assert by_backend(frame, pd.DataFrame(), latency_table([])).empty

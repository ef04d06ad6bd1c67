"""Records as rows, by hand; and which of them may not stand together."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.base.errors import UserError
from bench.records import Record
from bench.tables.tidy import cells_of, refuse_mixed_versions, rows_of, tidy, wide
from tests.report.synthetic import FID, make_record


def changed(record: Record, **cell: Any) -> Record:
    return record.model_copy(update={"cell": record.cell.model_copy(update=cell)})


def test_a_number_stands_with_its_cell_its_terms_and_its_keys() -> None:
    record = make_record(fid=3.5, seed=2)
    row = next(row for row in rows_of(tidy([record])) if row["metric"] == FID)
    assert {name: row[name] for name in ("workload", "strategy", "granularity", "target", "level", "seed")} == {
        "workload": "mnist-dcgan",
        "strategy": "l1-weight-global",
        "granularity": "weight",
        "target": "params",
        "level": "0.5",
        "seed": 2,
    }
    assert (row["value"], row["kind"], row["version"], row["num_images"]) == (3.5, "stochastic", "1", 1000.0)
    assert (row["requested"], row["status"], row["physical"]) == (0.5, "ok", False)
    assert (row["eval_key"], row["dense_key"], row["task"]) == (record.keys.eval, "", "generation")
    params = next(row for row in rows_of(tidy([record])) if row["metric"] == "params")
    assert params["kind"] == "exact" and math.isnan(params["num_images"])


def test_what_is_not_known_is_no_number() -> None:
    row = rows_of(tidy([make_record(empty=True, level={"threshold": 0.25})]))
    assert len(row) == 1 and row[0]["metric"] == row[0]["architecture"] == row[0]["unit"] == ""
    names = ("value", "requested", "achieved_params", "achieved_macs", "num_images")
    assert all(math.isnan(row[0][name]) for name in names)
    uncomputed = [row for row in rows_of(tidy([make_record(fid=None)])) if row["metric"] == FID]
    assert len(uncomputed) == 1 and math.isnan(uncomputed[0]["value"])


def test_a_cell_is_one_row_with_a_column_for_each_number_and_cost() -> None:
    found = rows_of(cells_of([make_record(fid=3.5), make_record(seed=1, empty=True)]))
    assert len(found) == 2 and found[0][FID] == 3.5 and math.isnan(found[1][FID])
    assert {"train_steps", "measure_seconds", "eval_key", "dense_key"} <= set(found[0])
    assert list(cells_of([]).columns)[:3] == ["workload", "checkpoint", "strategy"]


def test_rows_of_any_table_are_plain_values_in_its_order() -> None:
    assert rows_of(pd.DataFrame({"b": [1, 2], "a": ["x", "y"]})) == [{"b": 1, "a": "x"}, {"b": 2, "a": "y"}]
    assert rows_of(pd.DataFrame({"a": []})) == []


def test_another_version_or_count_of_one_checkpoint_is_refused_with_a_cell_of_each() -> None:
    first, again, other = (make_record(seed=seed, version=version) for seed, version in enumerate("112"))
    with pytest.raises(UserError) as error:
        tidy([first, again, other])
    said = str(error.value).splitlines()
    assert (
        f"mnist-dcgan, {FID}: version 1, 1000 images in l1-weight-global @0.5 bn-recalibrate seed 0 and 1 more"
        in (said[0])
    )
    assert said[0].endswith("; version 2, 1000 images in l1-weight-global @0.5 bn-recalibrate seed 2")
    assert said[-1].startswith("Numbers of different versions are never put side by side")
    assert len(said) == 4  # three metrics were judged, and the advice
    fewer = make_record(seed=3, num_images=999)
    with pytest.raises(UserError, match="999 images in"):
        wide([first, fewer])
    cells_of([first, fewer])  # not looked at


def test_versions_of_other_workloads_and_checkpoints_may_differ() -> None:
    plain = make_record()
    others = [make_record("mnist-mlp", version="2"), changed(make_record(version="3"), checkpoint="another")]
    frame = tidy([plain, *others])
    assert set(frame["version"]) == {"1", "2", "3"}
    refuse_mixed_versions(frame.iloc[:0])
    counted = plain.model_copy(
        update={"numbers": {"params": plain.numbers["params"].model_copy(update={"version": "params-2"})}}
    )
    with pytest.raises(UserError, match=r"mnist-dcgan, params: version 1 in .*; version params-2 in "):
        tidy([plain, changed(counted, seed=1)])

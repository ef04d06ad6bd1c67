"""Metrics that are asked for by name, from an experiment to the difference of two cells and its error."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.report.loading import read_run
from bench.tables.evidence import UNKNOWN, compared
from bench.tables.tidy import tidy
from bench.tasks import quantity_of
from tests.helpers.sweeps import Sweeps

ASKED = {"cmmd": "cmmd", "mind": "mind", "vendi": "vendi", "layer-distance": "layer-distance-to-dense"}
"""Metric -> its number. The pipeline's small images leave no room for SSIM's window."""


def test_each_has_an_error_and_differences_on_common_inputs_have_smaller_ones(sweep: Sweeps) -> None:
    names = ", ".join(f'"{name}"' for name in ASKED)
    outcome = sweep(f'quality.metrics=["fid", {names}]', sparsities=[0.3, 0.4], seeds=[0, 1])
    assert outcome.failed == 0
    inputs = read_run(outcome.folder)
    frame = tidy(inputs.records)
    for name in ASKED.values():
        rows = frame[frame["metric"] == f"{name}[dummy-judge]"]
        pruned = [_by_seed(rows[rows["requested"] == level]) for level in (0.3, 0.4)]
        quantity = quantity_of(name)
        found = compared(*pruned, f"{name}[dummy-judge]", quantity, inputs.evidence)
        assert found is not None and UNKNOWN not in found.varies and len(found.values) == 2
        first, second = (each[0][f"{name}[dummy-judge]"] for each in pruned)
        scale = 1.0 if quantity.scale == "linear" else 1 / first["value"]
        assert 0 < math.sqrt(found.least) < scale * math.hypot(first["error"], second["error"])


def test_who_does_not_ask_has_none_of_them_and_an_unknown_name_is_answered(sweep: Sweeps) -> None:
    outcome = sweep()
    numbers = {name.partition("[")[0] for record in read_run(outcome.folder).records for name in record.numbers}
    assert not numbers & set(ASKED.values())
    with pytest.raises(Exception, match=r"Did you mean 'cmmd'"):
        sweep('quality.metrics=["cmd"]')


def _by_seed(rows: pd.DataFrame) -> dict[int, dict[str, dict[str, Any]]]:
    return {row["seed"]: {row["metric"]: row} for row in rows.to_dict("records")}

"""The numbers that a table is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from bench.statistics import t_interval

NUMBERS: dict[str, dict[str, Any]] = {
    "bench.tables.select": {"SPEEDUPS": (1.5, 2.0, 3.0, 5.0, 10.0)},
    "bench.tables.summary": {"SHOWN_BATCHES": (1, 16)},
    "bench.statistics.intervals": {"ROUNDING": 1e-12},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]


def test_an_interval_is_of_95_per_cent_where_nothing_else_is_said() -> None:
    assert t_interval([1.0, 2.0, 3.0]) == t_interval([1.0, 2.0, 3.0], 0.95) != t_interval([1.0, 2.0, 3.0], 0.9)

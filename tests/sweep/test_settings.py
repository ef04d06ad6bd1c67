"""The numbers that a cell is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

NUMBERS: dict[str, dict[str, Any]] = {
    "bench.sweep.curve": {"CURVE_OUTPUTS": 500},
    "bench.sweep.keys": {"KEYS_VERSION": 2},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]

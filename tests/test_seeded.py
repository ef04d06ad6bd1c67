"""The suite is the same twice: what tests draw depends on the test alone."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.properties import EXPLORE, SAME, examples


@pytest.mark.parametrize("_", range(2))
def test_nothing_that_ran_before_changes_what_a_test_draws(_: int):
    drawn = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(0)
    assert drawn == (torch.rand(1).item(), random.Random(0).random(), np.random.RandomState(0).rand())


def seen() -> list[float]:
    """The examples of one property."""
    found: list[float] = []

    @given(st.floats() | st.integers())
    def collect(value: float) -> None:
        found.append(value)

    collect()
    return found


def test_a_property_sees_the_same_examples_whatever_modules_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if settings.get_current_profile_name() != SAME:
        pytest.skip("new examples are wanted")
    first = seen()
    file = tmp_path / "late.py"
    file.write_text("\n".join(f"A{i} = {i}.1234567\nB{i} = {i + 1}7654321" for i in range(200)))
    spec = importlib.util.spec_from_file_location("late", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "late", module)
    spec.loader.exec_module(module)
    assert list(map(repr, seen())) == list(map(repr, first)) and len(first) == 100


def test_exploring_is_random_and_looks_at_more():
    explore = settings.get_profile(EXPLORE)
    assert not explore.derandomize and explore.print_blob and explore.database is not None
    assert explore.max_examples == 1000
    if settings.get_current_profile_name() == SAME:
        assert examples(40)(given(st.none())(lambda _: None))._hypothesis_internal_use_settings.max_examples == 40

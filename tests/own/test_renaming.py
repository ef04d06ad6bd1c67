"""`checkpoint.rename`: a user's patterns come to an end, or are told by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.base.errors import UserError
from bench.workloads.reading import load_checkpoint_file
from bench.workloads.renaming import BadPattern, renamed
from bench.workloads.spec import CheckpointSpec


def test_patterns_are_applied_in_their_order() -> None:
    assert renamed(["a.b", "c"], {r"\.": "_", "a_(.)": r"\1x"}) == ["bx", "c"]


def test_names_of_any_letters_come_back() -> None:
    assert renamed(["ü\n", "\x1b"], {"q": "r"}) == ["ü\n", "\x1b"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*b"])
def test_a_pattern_without_end_is_told_by_name(pattern: str) -> None:
    begun = time.monotonic()
    with pytest.raises(BadPattern) as caught:
        renamed(["a" * 60 + "!"], {"x": "y", pattern: "a"}, seconds=1)
    assert f"'{pattern}' took more than 1 s" in str(caught.value)
    assert time.monotonic() - begun < 20


def test_names_that_grow_without_end_are_refused() -> None:
    with pytest.raises(BadPattern, match="more than 10,000 characters"):
        renamed(["name"], {f"(.+)(?#{i})": r"\1\1" for i in range(40)})


def test_a_slow_pattern_names_the_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workloads.renaming.SECONDS", 1.0)
    path = tmp_path / "x.pt"
    torch.save({"a" * 60 + "!": torch.zeros(2)}, path)
    spec = CheckpointSpec.model_validate({"file": "x.pt", "rename": {"(a+)+$": "a"}})
    with pytest.raises(UserError, match=r"workload 'w', checkpoint: .*x\.pt: checkpoint\.rename: '\(a\+\)\+\$'"):
        load_checkpoint_file(nn.Linear(2, 2), spec, path, "workload 'w', checkpoint")


@pytest.mark.parametrize("pattern", ["(|)" * 60 + "b", "(" * 500 + ")" * 500])
def test_reading_the_table_does_not_try_the_pattern(pattern: str) -> None:
    begun = time.monotonic()
    try:
        CheckpointSpec.model_validate({"file": "x", "rename": {pattern: "a"}})
    except ValueError as error:
        assert "regular expression" in str(error)
    assert time.monotonic() - begun < 5

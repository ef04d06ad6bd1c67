"""Misbehaving generators: whatever they do, it is a finding, and the process is left as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.generators import attempts
from tests.fuzz.misbehaving import DANGEROUS, HARMLESS


def test_there_are_more_than_fifty_of_each_a_name() -> None:
    assert len(HARMLESS) >= 50 and len(DANGEROUS) >= 20
    assert len({name for name, _ in DANGEROUS}) == len(DANGEROUS)


def test_some_of_them_are_found(tmp_path: Path) -> None:
    tally = attempts(seed=1, count=8, folder=tmp_path)
    assert tally.wrong == [] and tally.tried == 8


@pytest.mark.slow
def test_a_quarter_of_them_is_found(tmp_path: Path) -> None:
    """All of them are in `make fuzz`."""
    tally = attempts(seed=0, count=len(HARMLESS) // 4, folder=tmp_path)
    assert tally.wrong == [] and tally.tried == len(HARMLESS) // 4


def test_an_attempt_is_the_same_again(tmp_path: Path) -> None:
    first, second = (attempts(seed=2, count=4, folder=tmp_path / str(i)) for i in range(2))
    assert first.outcomes == second.outcomes and first.wrong == second.wrong

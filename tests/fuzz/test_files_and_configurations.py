"""A little of what `make fuzz` does, with every run of the suite."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import configurations, files
from tests.fuzz.attempt import LONGEST, tried
from tests.fuzz.tally import Tally


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    tally = files.attempts(0, 60, tmp_path)
    assert tally.wrong == []
    assert tally.tried == 60
    assert tally.outcomes["refused"] > 30


def test_configurations_are_refused_or_read(tmp_path: Path) -> None:
    tally = configurations.attempts(0, 60, tmp_path)
    assert tally.wrong == []
    assert tally.tried == 60
    assert tally.outcomes["refused"] > 30


def test_attempts_are_the_same_from_the_same_seed(tmp_path: Path) -> None:
    first, second = (configurations.attempts(5, 20, tmp_path).outcomes for _ in range(2))
    assert first == second


def test_what_goes_wrong_is_counted() -> None:
    from bench.base.errors import UserError

    def says(text: str) -> None:
        raise UserError(text)

    tally = Tally("files")
    tried(tally, "a", lambda: 1 / 0)
    tried(tally, "b", lambda: says("x" * (LONGEST + 1)))
    tried(tally, "c", lambda: says("no"))
    tried(tally, "d", lambda: None)
    assert tally.outcomes == {"refused": 1, "accepted": 1}
    assert [text.split(":")[0] for text in tally.wrong] == ["a", "b"]

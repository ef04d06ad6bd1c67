"""Damaged pictures, archives and folders end in a message: a hundred of those that `make fuzz` tries."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.images import attempts


def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path: Path) -> None:
    tally = attempts(0, 100, tmp_path)
    assert tally.wrong == []
    assert tally.tried == 100
    assert sum(n for name, n in tally.outcomes.items() if name.endswith("refused")) > 30
    assert sum(n for name, n in tally.outcomes.items() if name.endswith("accepted")) > 20


def test_the_same_seed_tries_the_same(tmp_path: Path) -> None:
    one, other, third = (attempts(seed, 20, tmp_path / name).outcomes for seed, name in ((1, "a"), (1, "b"), (2, "c")))
    assert one == other != third

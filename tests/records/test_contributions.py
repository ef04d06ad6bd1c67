"""The contributions of a cell on disk: the same back, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bench.base.outside import Damaged, Unreadable
from bench.records.contributions import CellContributions, read_contributions, write_contributions
from bench.statistics import Contributions

RNG = np.random.default_rng(0)


def some(count: int = 40) -> CellContributions:
    full = Contributions(count, RNG.normal(size=30), RNG.normal(size=30), RNG.normal(size=6))
    plain = Contributions(30, RNG.normal(size=30), np.zeros(0), np.zeros(0))
    return CellContributions("ab12", {"fid-inf[judge]": full, "is[judge]": plain})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    before = some()
    write_contributions(tmp_path / "x", before)
    after = read_contributions(tmp_path / "x")
    assert after.inputs == "ab12" and list(after.numbers) == list(before.numbers)
    for name, each in before.numbers.items():
        found = after.numbers[name]
        assert found.count == each.count
        assert found.variance == pytest.approx(each.variance, rel=1e-6)


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        read_contributions(tmp_path / "x")


@pytest.mark.parametrize("cut", [0, 1, 7, 20, 200, -1])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, cut: int) -> None:
    write_contributions(tmp_path / "x", some())
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:cut])
    with pytest.raises(Damaged, match="contributions"):
        read_contributions(tmp_path / "x")


@pytest.mark.parametrize(
    ("parts", "counts"),
    [
        ({}, '{"a": 5}'),
        ({"a/linear": np.zeros(3), "a/noise": np.zeros(0), "a/pairs": np.zeros(0)}, '{"a": 2}'),
        ({"a/linear": np.full(3, np.nan), "a/noise": np.zeros(0), "a/pairs": np.zeros(0)}, '{"a": 3}'),
        ({"a/linear": np.zeros(3), "a/noise": np.zeros(2), "a/pairs": np.zeros(0)}, '{"a": 3}'),
        ({"a/linear": np.zeros((3, 1)), "a/noise": np.zeros(0), "a/pairs": np.zeros(0)}, '{"a": 3}'),
        ({"a/linear": np.zeros(3), "a/noise": np.zeros(0), "a/pairs": np.zeros(0)}, "[1]"),
    ],
)
def test_other_content_is_damaged(tmp_path: Path, parts: dict[str, np.ndarray], counts: str) -> None:
    tensors = {name: part.astype(np.float32) for name, part in parts.items()} or {"b": np.zeros(1, np.float32)}
    (tmp_path / "x").write_bytes(save(tensors, {"inputs": "a", "counts": counts}))
    with pytest.raises(Damaged):
        read_contributions(tmp_path / "x")

"""Baselines in git: what is written can be read, reviewed, and not be tampered with unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.gate.baseline import (
    CELLS_FILE,
    HEAD_FILE,
    LINE,
    SHAPES_FILE,
    DamagedBaseline,
    baseline_folder,
    read_baseline,
    readable,
    write_baseline,
)
from bench.gate.compare import compare
from bench.gate.sides import opened
from tests.gate.sides import cell, contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An accepted baseline."""
    path = baseline_folder(tmp_path / "results", "mini")
    write_baseline(path, contents(), reason="the first", run="main")
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    head, found = read_baseline(folder)
    assert found == contents()
    assert (head.reason, head.run) == ("the first", "main")


def test_writing_the_same_twice_changes_cells_not_by_a_byte(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_baseline(again, contents(), reason="once more", run="other")
    for name in (CELLS_FILE, SHAPES_FILE):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_a_changed_number_is_one_changed_line(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_baseline(other, contents(cell(fid=(10.0, 11.0, 12.5))), reason="worse", run="main")
    before, after = ((path / CELLS_FILE).read_text().splitlines() for path in (folder, other))
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [('   "fid[judge]": [10.0, 11.0, 12.0],', '   "fid[judge]": [10.0, 11.0, 12.5],')]


def test_readable_json_is_json_with_short_lines() -> None:
    value = {"a": {"b": {"c": list(range(9)), "d": {}}, "e": [{"f": "ü" * 100}, {"g": None}]}, "h": []}
    text = readable(value)
    assert json.loads(text) == value
    assert max(map(len, text.splitlines())) <= LINE


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a number edited by hand": (lambda f: edit(f / CELLS_FILE, "12.0", "99.0"), "is not what was accepted"),
    "a width edited by hand": (lambda f: edit(f / SHAPES_FILE, "4", "5"), "is not what was accepted"),
    "the margin's file edited by hand": (lambda f: edit(f / HEAD_FILE, "0.02", "0.2"), "is not what was accepted"),
    "cells cut off": (lambda f: truncate(f / CELLS_FILE), "is not what was accepted"),
    "head cut off": (lambda f: truncate(f / HEAD_FILE), "not JSON"),
    "empty": (lambda f: (f / HEAD_FILE).write_text(""), "not JSON"),
    "a list": (lambda f: (f / HEAD_FILE).write_text("[]"), "is not a baseline"),
    "not text": (lambda f: (f / HEAD_FILE).write_bytes(b"\xff\xfe\x00"), "not text"),
    "a file deleted": (lambda f: (f / SHAPES_FILE).unlink(), "cannot be read"),
    "another version": (lambda f: edit(f / HEAD_FILE, '"baseline_version": 1', '"baseline_version": 2'), "version 2"),
    "a field taken away": (lambda f: edit(f / HEAD_FILE, '"run"', '"walk"'), "run: Field required"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_baseline_never_passes(folder: Path, spoil: Callable[[Path], None], words: str) -> None:
    intact = folder.parent / "intact"
    shutil.copytree(folder, intact)
    spoil(folder)
    with pytest.raises(DamagedBaseline, match=words):
        read_baseline(folder)
    with opened(str(folder), str(intact), folder.parents[1]) as (base, head):
        result = compare(base, head)
    assert {row.verdict for row in result.rows} == {"not comparable"}
    assert result.exit_code == 3
    assert words.partition(":")[0] in result.rows[0].reason


def test_a_baseline_put_together_from_two_never_passes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_baseline(other, contents(cell(fid=(1.0, 1.0, 1.0))), reason="better", run="main")
    shutil.copy(other / CELLS_FILE, folder)
    with pytest.raises(DamagedBaseline, match=r"cells\.json: is not what was accepted"):
        read_baseline(folder)


def test_the_copied_baseline_of_another_experiment_never_passes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_baseline(other, contents(name="other"), reason="mine", run="main")
    with opened(str(other), str(folder), tmp_path / "results") as (base, head):
        result = compare(base, head)
    assert (result.exit_code, {row.verdict for row in result.rows}) == (3, {"not comparable"})
    assert "BASE is of experiment 'other'" in result.rows[0].reason


def test_no_baseline_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ganprune baseline accept"):
        read_baseline(tmp_path)


def test_an_experiment_named_like_a_path_stays_inside(tmp_path: Path) -> None:
    assert baseline_folder(tmp_path, "../../etc").parent == tmp_path / "baselines"

"""Baselines in git: what is written can be read, reviewed, and not be tampered with unseen."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from bench.base.errors import UserError
from bench.gate.baseline import (
    CELLS_FILE,
    HEAD_FILE,
    LINE,
    SHAPES_FILE,
    DamagedBaseline,
    baseline_folder,
    read_baseline,
    read_images,
    readable,
    write_baseline,
)
from bench.gate.compare import compare
from bench.gate.images import IMAGES_FILE, written
from bench.gate.sides import Side, opened
from bench.records.contributions import CellContributions
from bench.statistics import Contributions, difference
from tests.gate.sides import DENSE, PLACE, cell, contents

RNG = np.random.default_rng(0)
LONG = 1e-3 * RNG.normal(size=400), 2e5 * RNG.normal(size=400), np.zeros(0)
SHORT = RNG.normal(size=40), np.zeros(0), 1e-9 * RNG.normal(size=6)
IMAGES = {
    (PLACE, seed): CellContributions(
        f"z {seed}", {"fid-inf[judge]": Contributions(500, *LONG), "is[judge]": Contributions(40 + seed, *SHORT)}
    )
    for seed in (0, 1)
}
"""What the images of two seeds contribute to two numbers."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An accepted baseline."""
    path = baseline_folder(tmp_path / "results", "mini")
    write_baseline(path, contents(), reason="the first", run="main", images=IMAGES)
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


def test_what_images_contribute_is_read_as_half_precision_at_its_own_scale(folder: Path) -> None:
    head, _ = read_baseline(folder)
    images = read_images(folder, head)
    for (place, seed), kept in IMAGES.items():
        found = images(place, seed)
        assert found is not None and found.inputs == kept.inputs
        for name, each in kept.numbers.items():
            same = found.numbers[name]
            assert same.count == each.count
            for part in ("linear", "noise", "pairs"):
                one, other = getattr(each, part), getattr(same, part)
                assert other == pytest.approx(one, rel=2**-11, abs=2e-5 * np.abs(one).max(initial=0))
            assert same.variance == pytest.approx(each.variance, rel=1e-3)
    assert images(PLACE, 2) is None and images(DENSE, 0) is None
    assert (folder / IMAGES_FILE).stat().st_size < 2 * 2 * (800 + 46) + 2_000


def test_of_equal_networks_half_precision_leaves_a_thousandth_of_the_error(folder: Path) -> None:
    head, _ = read_baseline(folder)
    images = read_images(folder, head)
    exact, rounded = (kept.numbers["is[judge]"] for kept in (IMAGES[PLACE, 0], images(PLACE, 0)) if kept)
    pair = difference(exact, rounded)
    assert pair is not None and pair.variance < 1e-6 * exact.variance


def test_a_baseline_that_was_accepted_without_images_has_none(folder: Path) -> None:
    write_baseline(folder, contents(), reason="older", run="main")
    head, _ = read_baseline(folder)
    assert not (folder / IMAGES_FILE).exists()
    assert read_images(folder, head)(PLACE, 0) is None


def test_images_are_paired_with_those_of_a_run(folder: Path) -> None:
    """HEAD has the very contributions of BASE: what it is worse by has no error but that of the rounding."""
    with opened(str(folder), str(folder), folder.parents[1]) as (base, head):
        worse = Side(head.label, contents(cell(fid=(11.0, 12.1, 13.2))), images=lambda p, s: IMAGES.get((p, s % 2)))
        result = compare(replace(base, images=lambda p, s: base.images(p, s % 2)), worse)
    (found,) = [row for row in result.rows if row.metric == "fid[judge]" and row.cell == PLACE.label]
    assert found.verdict == "regression" and "no contributions" not in found.reason


def spoiled(change: Callable[[dict[str, Any], dict[str, np.ndarray]], None]) -> bytes:
    """The file of images with something else in it, its checksum right."""
    content = written(IMAGES)
    size = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["about"])
    tensors = dict(load(content))
    change(about, tensors)
    return bytes(save(tensors, {"about": json.dumps(about)}))


def first(about: dict[str, Any]) -> dict[str, Any]:
    return about[min(about)]["numbers"]["is[judge]"]


@pytest.mark.parametrize(
    "content",
    {
        "nothing": b"",
        "no tensors": b"\x08" + b"\0" * 7 + b"[1, 2, 3]",
        "no place": spoiled(lambda about, _: about.update({"a cell": about.pop(min(about))})),
        "sizes": spoiled(lambda about, _: first(about).update(sizes=[40, 0, 5])),
        "sizes below nothing": spoiled(lambda about, _: first(about).update(sizes=[40, -40, 46])),
        "a count below": spoiled(lambda about, _: first(about).update(count=3)),
        "a scale that is none": spoiled(lambda about, _: first(about).update(scales=[float("nan"), 0, 1])),
        "a list of scales": spoiled(lambda about, _: first(about).update(scales=[[1], 0, 1])),
        "a tensor less": spoiled(lambda _, tensors: tensors.pop(min(tensors))),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_file_of_images_that_is_none_is_a_damaged_baseline(folder: Path, content: tuple[str, bytes]) -> None:
    """Also where the checksum is right: it was accepted with a ganprune that wrote it wrongly, or made by hand."""
    (folder / IMAGES_FILE).write_bytes(content[1])
    head, _ = read_baseline(folder)
    sums = head.checksums | {IMAGES_FILE: hashlib.sha256(content[1]).hexdigest()}
    with pytest.raises(DamagedBaseline, match=r"images\.safetensors: .* accept a new one"):
        read_images(folder, head.model_copy(update={"checksums": sums}))
    with pytest.raises(DamagedBaseline, match="is not what was accepted"):
        read_images(folder, head)


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
    "images cut off": (lambda f: truncate(f / IMAGES_FILE), "is not what was accepted"),
    "images deleted": (lambda f: (f / IMAGES_FILE).unlink(), "cannot be read"),
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
        read_images(folder, read_baseline(folder)[0])
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

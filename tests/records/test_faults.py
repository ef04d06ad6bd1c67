"""Damaged files of a run: measured again with a note, left out with a note, or told with their place; nothing hangs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.base.files import clear_unfinished, unfinished, write_atomically
from bench.records import Cell, Failure, Manifest, PlannedCell, Record
from bench.records.store import DamagedFile, RunStore, for_people
from bench.report.loading import find_run, newest_run, read_run
from bench.sweep.run import _or_none
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from tests.helpers.cells import NUM_IMAGES, cell, record_of
from tests.report.synthetic import latency_record


@pytest.fixture(scope="module")
def record() -> Record:
    return record_of(cell("dense"), Workshop(Settings(num_images=NUM_IMAGES)))


@pytest.fixture
def planned(record: Record) -> PlannedCell:
    return PlannedCell(cell=record.cell, keys=record.keys)


@pytest.fixture
def store(tmp_path: Path, record: Record, planned: PlannedCell) -> RunStore:
    """A finished run of one cell, with a timing."""
    store = RunStore(tmp_path / "results" / "runs" / "mini" / "main")
    manifest = Manifest(experiment={"experiment": {"name": "mini"}}, run="main", cells=[planned])
    store.write_manifest(manifest, {"threads": 1})  # type: ignore[typeddict-item]
    store.write_record(record)
    assert record.architecture is not None
    timing = latency_record("dummy", "dense", 1, 1.0)
    store.write_latency(timing.model_copy(update={"architecture": record.architecture.hash}))
    return store


BAD: dict[str, Any] = {
    "an empty table": "{}",
    "nested without end": "[" * 100_000,
    "5,000 digits": '{"schema_version": ' + "9" * 5000 + "}",
    "wrong types": '{"schema_version": 2, "keys": 3}',
    "no text": b"\xff\xfe",
    "NaN": '{"schema_version": NaN}',
}


def spoil(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_damaged_record_is_measured_again_and_said(content: str, store: RunStore, planned: PlannedCell) -> None:
    (path,) = store.paths.cells.iterdir()
    spoil(path, content)
    notes: list[str] = []
    assert _or_none(lambda: store.read_record(planned), notes.append) is None
    assert len(notes) == 1
    assert notes[0].startswith(str(path))
    assert notes[0].endswith("It is measured again.")


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_damaged_timing_is_left_out_of_the_report_and_said(content: str, store: RunStore) -> None:
    spoil(store.paths.latencies / "x.json", content)
    inputs = read_run(store.paths.root)
    assert len(inputs.latency) == 1
    assert [text for text in inputs.excluded if "x.json: damaged" in text and text.endswith("It is left out.")]


@pytest.mark.parametrize("kind", ["fifo", "zero", "round"])
def test_a_record_that_is_no_file_is_measured_again(kind: str, store: RunStore, planned: PlannedCell) -> None:
    (path,) = store.paths.cells.iterdir()
    record = store.read_record(planned)
    assert record is not None
    path.unlink()
    {
        "fifo": lambda: os.mkfifo(path),
        "zero": lambda: path.symlink_to("/dev/zero"),
        "round": lambda: path.symlink_to(path),
    }[kind]()
    with pytest.raises(DamagedFile, match="damaged, "):
        store.read_record(planned)
    store.write_record(record)
    assert store.read_record(planned) == record


def test_a_folder_in_the_place_of_a_record_is_told(store: RunStore, planned: PlannedCell) -> None:
    (path,) = store.paths.cells.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="a folder, not a file"):
        store.read_record(planned)


@pytest.mark.parametrize("content", [*BAD.values(), "[]", "3"], ids=[*BAD, "a list", "a number"])
def test_a_damaged_environment_is_told_with_its_place(content: str, store: RunStore) -> None:
    spoil(store.paths.environment, content)
    if content == "{}" or b"keys" in (content if isinstance(content, bytes) else content.encode()):
        read_run(store.paths.root)  # it says nothing, and nothing depends on it
        return
    with pytest.raises(UserError, match=r"environment\.json: damaged, not "):
        read_run(store.paths.root)


@pytest.mark.parametrize("level", [{}, {"sparsity": 0.5, "threshold": 1.0}])
def test_a_cell_has_one_level(level: dict[str, float], store: RunStore) -> None:
    content = json.loads(store.paths.manifest.read_text())
    content["cells"][0]["cell"]["level"] = level
    store.paths.manifest.write_text(json.dumps(content))
    with pytest.raises(DamagedFile, match="level"):
        read_run(store.paths.root)


def test_what_cannot_be_seen_is_written_out_for_people_only(planned: PlannedCell) -> None:
    failure = Failure(keys=planned.keys, cell=planned.cell, error="\x1b[31mno", traceback="a\n\x1b", attempt=1)
    shown = for_people(failure)
    assert (shown.error, shown.traceback) == ("\\x1b[31mno", "a\n\\x1b")
    assert failure.error == "\x1b[31mno"
    plain = failure.model_copy(update={"error": "no", "traceback": "T"})
    assert for_people(plain) is plain


def test_layers_with_control_characters_come_clean_into_a_report(store: RunStore, record: Record) -> None:
    assert record.architecture is not None
    text = record.model_dump_json().replace(f'"{record.layers[0].name}"', '"con\\u001b[31mv\\n"')
    store.write_record(Record.model_validate_json(text))
    (found,) = read_run(store.paths.root).records
    assert found.layers[0].name == "con\\x1b[31mv\\n"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "*", "a\0b", "x" * 5000, "\x1b"])
def test_what_is_no_run_is_a_sentence(name: str, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    results = store.paths.root.parents[2]
    monkeypatch.chdir(results)
    with pytest.raises(UserError, match="neither the folder of a run nor an experiment"):
        find_run(name, results)
    assert newest_run(results, name) is None
    assert newest_run(results, "mini") == store.paths.root


def test_what_killed_writers_left_is_cleared_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    import fcntl

    left, busy, foreign = (tmp_path / n for n in (".x.json.ab12cd34.tmp", ".y.json.ab12cd34.tmp", ".notes.tmp"))
    for path in (left, busy, foreign):
        path.write_text("half")
    assert unfinished(tmp_path) == [left, busy] or unfinished(tmp_path) == [busy, left]
    with busy.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        clear_unfinished(tmp_path, tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([busy.name, foreign.name])
    write_atomically(tmp_path / "x.json", "whole")
    assert len(unfinished(tmp_path)) == 1


def test_a_write_that_fails_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(tmp_path / "x.json", "whole")
    assert caught.value.filename == str(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_cell_of_a_seed_beyond_64_bits_is_none() -> None:
    with pytest.raises(ValueError, match="seed"):
        Cell(workload="w", strategy="s", level={"sparsity": 0.5}, recovery="none", seed=2**64)

"""`results/` on disk: whole or not at all, checked when read, one writer, and a sentence for what is wrong."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.base.files import write_atomically, write_json
from bench.records import Failure, Manifest, PlannedCell, Record
from bench.records.store import DamagedFile, RunStore
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from tests.helpers.cells import NUM_IMAGES, cell, record_of
from tests.helpers.processes import wait_until
from tests.report.synthetic import latency_record

TIMING = latency_record("dummy", "l1-channel-global", 1, 1.5)


@pytest.fixture(scope="module")
def record() -> Record:
    return record_of(cell(), Workshop(Settings(num_images=NUM_IMAGES)))


@pytest.fixture
def thing(record: Record) -> PlannedCell:
    return PlannedCell(cell=record.cell, keys=record.keys)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


@pytest.fixture
def path(store: RunStore, record: Record) -> Path:
    """The file of a record that was written."""
    store.write_record(record)
    return store.paths.cell(record.cell, record.keys.eval)


def failure(thing: PlannedCell, attempt: int = 1) -> Failure:
    return Failure(keys=thing.keys, cell=thing.cell, error="ValueError: no", traceback="Traceback", attempt=attempt)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# Round trips


def test_a_record_comes_back_as_it_was(store: RunStore, record: Record, thing: PlannedCell) -> None:
    store.write_record(record)
    assert store.read_record(thing) == record


def test_a_cell_without_a_record_is_none(store: RunStore, thing: PlannedCell) -> None:
    assert store.read_record(thing) is None


def test_a_manifest_comes_back_as_it_was(store: RunStore, thing: PlannedCell) -> None:
    manifest = Manifest(experiment={"name": "Zürich"}, run="main", cells=[thing], excluded=["one"])
    store.write_manifest(manifest, {"threads": 1})
    assert store.read_manifest() == manifest
    assert json.loads(store.paths.environment.read_text()) == {"threads": 1}


def test_a_timing_comes_back_as_it_was(store: RunStore) -> None:
    store.write_latency(TIMING)
    assert store.read_latency(TIMING.workload, TIMING.batch, TIMING.latency_key) == TIMING
    assert store.latencies() == [TIMING]


def test_a_failure_comes_back_as_it_was(store: RunStore, thing: PlannedCell) -> None:
    store.write_failure(failure(thing, attempt=3))
    assert store.read_failure(thing) == failure(thing, attempt=3)


def test_a_failure_is_forgotten_after_success(store: RunStore, record: Record, thing: PlannedCell) -> None:
    store.write_failure(failure(thing))
    store.write_record(record)
    assert store.read_failure(thing) is None
    assert list(store.paths.failures.iterdir()) == []


def test_a_damaged_failure_counts_as_none(store: RunStore, thing: PlannedCell) -> None:
    store.write_failure(failure(thing))
    store.paths.failure(thing.cell, thing.keys.eval).write_text("{")
    assert store.read_failure(thing) is None


# Damage


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b"",
        lambda text: text[: len(text) // 2],
        lambda text: text[:-3],
        lambda text: bytes(range(256)),
        lambda text: b"\x80\x04\x95",
        lambda text: b"[]",
        lambda text: b"null",
        lambda text: b"{}",
        lambda text: b"[" * 100_000,
        lambda text: text.replace(b'"status": "ok"', b'"status": "fine"').replace(b'"collapsed"', b'"fine"'),
        lambda text: text.replace(b'"seed": 0', b'"seed": NaN'),
    ],
    ids=[
        "empty",
        "half",
        "last-bytes",
        "binary",
        "pickle",
        "list",
        "null",
        "no-fields",
        "deep",
        "status",
        "nan",
    ],
)
def test_a_damaged_record_is_named_with_its_path(
    store: RunStore, thing: PlannedCell, path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DamagedFile, match=re.escape(str(path))) as caught:
        store.read_record(thing)
    assert "\n" not in str(caught.value)


def test_a_record_with_unknown_fields_is_damaged(store: RunStore, thing: PlannedCell, path: Path) -> None:
    change(path, surprise=1)
    with pytest.raises(DamagedFile, match="surprise"):
        store.read_record(thing)


def test_a_record_of_another_cell_is_damaged(store: RunStore, path: Path, record: Record, thing: PlannedCell) -> None:
    other = record.model_copy(update={"cell": cell(sparsity=0.7)})
    path.write_text(other.model_dump_json())
    with pytest.raises(DamagedFile, match="holds the record of another cell"):
        store.read_record(thing)


def test_a_record_under_another_key_is_damaged(store: RunStore, path: Path, record: Record, thing: PlannedCell) -> None:
    """The file name holds 16 digits of the key; the rest is compared as well."""
    keys = record.keys.model_copy(update={"eval": record.keys.eval[:16] + "0" * 48})
    path.write_text(record.model_copy(update={"keys": keys}).model_dump_json())
    with pytest.raises(DamagedFile, match="holds the record of another cell"):
        store.read_record(thing)


@pytest.mark.parametrize("fields", [{}, {"surprise": 1}], ids=["same-fields", "other-fields"])
def test_a_record_of_another_schema_version_is_refused(
    store: RunStore, thing: PlannedCell, path: Path, fields: dict[str, int]
) -> None:
    change(path, schema_version=99, **fields)
    with pytest.raises(UserError, match="schema version 99, this ganprune writes 1") as caught:
        store.read_record(thing)
    assert not isinstance(caught.value, DamagedFile)
    assert str(path) in str(caught.value)


def test_a_manifest_of_another_schema_version_is_refused(store: RunStore, thing: PlannedCell) -> None:
    store.write_manifest(Manifest(experiment={}, run="main", cells=[thing]), {})
    change(store.paths.manifest, schema_version=99)
    with pytest.raises(UserError, match="schema version 99"):
        store.check_version()


def test_a_timing_of_another_schema_version_is_refused(store: RunStore) -> None:
    store.write_latency(TIMING)
    change(store.paths.latency(TIMING.workload, TIMING.batch, TIMING.latency_key), schema_version=99)
    with pytest.raises(UserError, match="schema version 99"):
        store.latencies()


def test_a_folder_in_place_of_a_record_is_one_sentence(store: RunStore, thing: PlannedCell, path: Path) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        store.read_record(thing)


# One writer


def test_a_second_writer_is_refused(store: RunStore) -> None:
    with (
        store.writing(),
        pytest.raises(UserError, match="another ganprune is writing this run"),
        RunStore(store.paths.root).writing(),
    ):
        pass


def test_the_lock_is_free_after_an_error(store: RunStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.writing():
        raise KeyboardInterrupt
    with store.writing():
        pass


HOLD = """
import sys, time
from pathlib import Path
from bench.records.store import RunStore
with RunStore(Path(sys.argv[1])).writing():
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_is_free_after_its_holder_was_killed(store: RunStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.paths.root)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with pytest.raises(UserError, match="another ganprune"), store.writing():
                pass
        finally:
            holder.kill()
    wait_until(lambda: holder.returncode is not None)
    with store.writing():
        pass


# What cannot be written


@pytest.fixture(params=[errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Flushing a file to disk fails with this error."""
    number: int = request.param

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("bench.base.files.os.fsync", fail)
    return number


REASON = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_cannot_be_written_is_one_sentence_and_the_old_file_stays_whole(
    store: RunStore, record: Record, broken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bench.base.files.os.fsync", lambda handle: None)
        store.write_record(record)
    before = files(store.paths.root)
    with pytest.raises(UserError) as caught:
        store.write_record(record.model_copy(update={"reason": "another"}))
    assert REASON.get(broken, os.strerror(broken)) in str(caught.value)
    assert str(store.paths.root) in str(caught.value)
    assert files(store.paths.root) == before


@pytest.mark.usefixtures("broken")
def test_nothing_is_left_of_a_first_file_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_atomically(tmp_path / "new.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="cannot be written \\(Permission denied\\)"), store.writing():
        pass


@pytest.mark.parametrize("depth", [0, 1])
def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path: Path, depth: int) -> None:
    (tmp_path / "file").write_text("in the way")
    root = [tmp_path / "file", tmp_path / "file" / "run"][depth]
    with pytest.raises(UserError, match="cannot be written"), RunStore(root).writing():
        pass
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    seen = []
    replace = Path.replace

    def look(self: Path, target: Path) -> Path:
        seen.append((path.read_bytes(), self.read_bytes()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    write_atomically(path, b"new")
    assert seen == [(b"old", b"new")]
    assert path.read_bytes() == b"new"


def test_not_a_number_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "file.json", {"fid": float("nan")})
    assert list(tmp_path.iterdir()) == []

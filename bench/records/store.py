"""`results/` on disk: one JSON file a cell, written whole or not at all, found again by its key."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.base.errors import UserError
from bench.base.files import reason_of, unfinished, write_atomically, write_json
from bench.base.outside import RECORDS, Damaged, Unreadable, json_of, read_text, there
from bench.base.printable import cleaned, shortened, strange_json
from bench.records import (
    SCHEMA_VERSION,
    Failure,
    LatencyFailure,
    LatencyRecord,
    Manifest,
    PlannedCell,
    Record,
    RunEnvironment,
)
from bench.records.paths import FAILED_TIMING, KEY_LENGTH, RunPaths
from bench.records.upgrade import upgraded

Model = TypeVar("Model", bound=BaseModel)


class DamagedFile(UserError):
    """A file of a run that is cut off, is not what it should be, or has other fields than this version writes.

    ``found`` is the message without its last sentence, which says what to do.
    """

    def __init__(self, found: str, remedy: str) -> None:
        self.found = found
        super().__init__(f"{found} {remedy}")


_TRAINING = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
"""The name of a folder that holds an unfinished training: a key and nothing else."""

RUN_AGAIN = "Run the experiment again: the next `ganprune run` makes it anew and keeps the rest."
DELETE = "Delete it and run the experiment again: what is finished is kept."


def parse(path: Path, model: type[Model]) -> Model:
    """Read one JSON file of a run.

    Raises:
        DamagedFile: not JSON, or not a ``model``; or no file at all, but what the next writer can replace.
        UserError: not readable, or written by another schema version.
    """
    # A manifest says what the run is: that is not written over unasked.
    remedy = DELETE if model is Manifest else RUN_AGAIN
    try:
        text = read_text(path, RECORDS)
        value = json_of(text, path)
    except Damaged as error:
        raise DamagedFile(str(error), remedy) from error
    except Unreadable as error:
        if error.mendable:
            raise DamagedFile(f"{path}: damaged, {error.reason}.", remedy) from error
        raise
    version = value.get("schema_version", SCHEMA_VERSION) if isinstance(value, dict) else SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        value = upgraded(value) or value
    try:
        found = model.model_validate(value)
    except ValidationError as error:
        if version not in (1, SCHEMA_VERSION):
            raise _other_version(path, version) from error
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DamagedFile(f"{path}: damaged or not a {model.__name__} ({where}: {first['msg']}).", remedy) from error
    if (version := getattr(found, "schema_version", SCHEMA_VERSION)) != SCHEMA_VERSION:
        raise _other_version(path, version)
    return found


def for_people(found: Model) -> Model:
    """``found`` with what cannot be seen in its names and texts written out: for what is printed and drawn."""
    text = found.model_dump_json()
    return type(found).model_validate(cleaned(json.loads(text))) if strange_json(text) else found


def _other_version(path: Path, version: object) -> UserError:
    return UserError(
        f"{path}: has schema version {shortened(repr(version), 40)}, this ganprune writes {SCHEMA_VERSION}. "
        "Use the ganprune that wrote it, or start anew with --fresh or another --run."
    )


class RunStore:
    """The records of one run."""

    def __init__(self, root: Path) -> None:
        self.paths = RunPaths(root)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run's lock: one writer. The kernel lets go of it however the process ends.

        Raises:
            UserError: another process writes here, or the folder cannot be written.
        """
        with writable(self.paths.root):
            self.paths.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{self.paths.root}: another ganprune is writing this run. "
                    "Wait for it, or use --run NAME or --fresh."
                ) from error
            yield
        finally:
            os.close(handle)

    def clear_leftovers(self, cells: Iterable[PlannedCell]) -> None:
        """Remove what killed processes left and nobody will ask for: unfinished trainings of other than these cells'
        keys, and temporary files. Only for who holds the lock: nobody else writes here then.
        """
        alive = {self.paths.training(planned.keys.eval).name for planned in cells}
        for folder in self._folders_in(self.paths.trainings):
            if folder.name not in alive and _TRAINING.fullmatch(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
        kinds = (self.paths.cells, self.paths.latencies, self.paths.failures, self.paths.samples)
        made = (*self._folders_in(self.paths.artifacts), *self._folders_in(self.paths.trainings))
        for folder in (self.paths.root, *kinds, *made):
            for path in unfinished(folder):
                with contextlib.suppress(OSError):
                    path.unlink()

    @staticmethod
    def _folders_in(place: Path) -> list[Path]:
        return [path for path in place.glob("*") if path.is_dir() and not path.is_symlink()]

    def write_manifest(self, manifest: Manifest, environment: RunEnvironment) -> None:
        with writable(self.paths.root):
            write_json(self.paths.manifest, manifest.model_dump(mode="json"))
            write_json(self.paths.environment, environment)

    def read_manifest(self) -> Manifest:
        return parse(self.paths.manifest, Manifest)

    def check_version(self) -> None:
        """Raise UserError where the folder holds the run of another schema version."""
        if there(self.paths.manifest):
            self.read_manifest()

    def write_record(self, record: Record) -> None:
        """Keep a finished cell; a failure of the same cell is forgotten, and so is its training's state."""
        with writable(self.paths.root):
            write_atomically(self.paths.cell(record.cell, record.keys.eval), _dump(record))
            self.paths.failure(record.cell, record.keys.eval).unlink(missing_ok=True)
        shutil.rmtree(self.paths.training(record.keys.eval), ignore_errors=True)

    def read_record(self, planned: PlannedCell) -> Record | None:
        """The record of a planned cell; None where there is none. Raises UserError for a damaged one."""
        path = self.paths.cell(planned.cell, planned.keys.eval)
        if not there(path):
            return None
        record = parse(path, Record)
        if record.keys != planned.keys or record.cell != planned.cell:
            raise DamagedFile(f"{path}: holds the record of another cell.", RUN_AGAIN)
        return record

    def write_failure(self, failure: Failure) -> None:
        with writable(self.paths.root):
            write_atomically(self.paths.failure(failure.cell, failure.keys.eval), _dump(failure))

    def read_failure(self, planned: PlannedCell) -> Failure | None:
        """The last failed attempt at a planned cell; a damaged note of one counts as none."""
        path = self.paths.failure(planned.cell, planned.keys.eval)
        if not there(path):
            return None
        with contextlib.suppress(DamagedFile):
            return parse(path, Failure)
        return None

    def write_latency(self, record: LatencyRecord) -> None:
        """Keep a timing; a failure of the same one is forgotten."""
        place = (record.workload, record.batch, record.latency_key)
        with writable(self.paths.root):
            write_atomically(self.paths.latency(*place), _dump(record))
            self.paths.latency_failure(*place).unlink(missing_ok=True)

    def read_latency(self, workload: str, batch: int, key: str) -> LatencyRecord | None:
        path = self.paths.latency(workload, batch, key)
        return parse(path, LatencyRecord) if there(path) else None

    def latencies(self, note: Callable[[str], None] = lambda text: None) -> list[LatencyRecord]:
        """All timings of the run; a damaged one is noted and left out: the next run makes it again."""
        found = []
        for path in sorted(self.paths.latencies.glob("*.json")):
            try:
                found.append(parse(path, LatencyRecord))
            except DamagedFile as error:
                note(f"{error.found} It is left out.")
        return found

    def write_latency_failure(self, failure: LatencyFailure) -> None:
        with writable(self.paths.root):
            path = self.paths.latency_failure(failure.workload, failure.batch, failure.latency_key)
            write_atomically(path, _dump(failure))

    def read_latency_failure(self, workload: str, batch: int, key: str) -> LatencyFailure | None:
        """The last failed attempt at a timing; a damaged note of one counts as none."""
        path = self.paths.latency_failure(workload, batch, key)
        return _note(path) if there(path) else None

    def latency_failures(self) -> list[LatencyFailure]:
        """All failed timings of the run."""
        found = [_note(path) for path in sorted(self.paths.failures.glob(f"*{FAILED_TIMING}"))]
        return [failure for failure in found if failure is not None]


def _note(path: Path) -> LatencyFailure | None:
    with contextlib.suppress(DamagedFile):
        return parse(path, LatencyFailure)
    return None


def _dump(model: BaseModel) -> str:
    return model.model_dump_json(indent=1) + "\n"


KEPT = "Every finished cell is kept; mend that, or name another folder with --results, and run the same command again."


@contextlib.contextmanager
def writable(root: Path, advice: str = KEPT) -> Iterator[None]:
    """Turn a full disk, a missing permission or a file in the way into a sentence. What is already there stays."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{root}: cannot be written ({reason_of(error)}). {advice}") from error

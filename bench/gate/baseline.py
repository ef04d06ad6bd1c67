"""A baseline in git: what was accepted, when and why, in files that a reviewer can read in a diff.

results/baselines/<experiment>/
  baseline.json        which experiment, why and when, where it was measured, checksums
  cells.json           every cell: its numbers, one line a metric, one value a seed
  architectures.json   the pruned generators as channel widths
  images.safetensors   what each image contributes to the gated numbers, where the run has kept it
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.errors import UserError
from bench.base.files import clear_unfinished, write_atomically
from bench.base.outside import RECORDS, json_of, read_bytes, read_text, there
from bench.base.printable import shortened
from bench.gate.contents import CellValues, Contents, Environment, Shape, Terms
from bench.gate.images import IMAGES_FILE, Images, Kept, no_images, read, written
from bench.records.contributions import LARGEST
from bench.records.paths import safe
from bench.records.store import writable

BASELINE_VERSION = 1
"""Rises when a reader of the old files would misread the new ones."""

HEAD_FILE, CELLS_FILE, SHAPES_FILE = "baseline.json", "cells.json", "architectures.json"
LINE = 120


class DamagedBaseline(UserError):
    """A baseline that is not as it was accepted, or is of another version: nothing can be compared with it."""


class BaselineHead(BaseModel):
    """``baseline.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    baseline_version: int
    """Of these files; a reader refuses another."""
    reason: str
    """Why it was accepted: what ``--reason`` said."""
    accepted: str
    """When, UTC."""
    run: str
    """The name of the run that was accepted."""
    experiment: dict[str, Any]
    """As in the run's manifest; its ``[gate]`` says what is compared."""
    terms: dict[str, dict[str, Terms]]
    """Workload -> metric -> what two numbers must share."""
    checkpoints: dict[str, str]
    """``workload checkpoint`` -> hash of the trained weights."""
    inputs: dict[str, str]
    """``workload seed`` -> hash of the evaluation inputs; only where they could be drawn as the run drew them."""
    environments: list[Environment]
    """Where the cells were measured."""
    git: list[str]
    """Revisions of the code that measured."""
    checksums: dict[str, str]
    """SHA-256 of the other files, and under ``baseline.json`` of this one without this table."""


def baseline_folder(results: Path, experiment: str) -> Path:
    """``results/baselines/<experiment>``."""
    return results / "baselines" / safe(experiment)


def write_baseline(
    folder: Path, contents: Contents, *, reason: str, run: str, images: Kept | None = None
) -> BaselineHead:
    """Write the files; a baseline that is there is replaced (git keeps it)."""
    texts = {
        CELLS_FILE: readable({key: cell.model_dump(mode="json") for key, cell in sorted(contents.cells.items())}),
        SHAPES_FILE: readable({key: shape.model_dump(mode="json") for key, shape in sorted(contents.shapes.items())}),
    }
    files = {name: text.encode() for name, text in texts.items()} | ({IMAGES_FILE: written(images)} if images else {})
    head: dict[str, Any] = {
        "baseline_version": BASELINE_VERSION,
        "reason": reason,
        "accepted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "run": run,
        **contents.model_dump(mode="json", exclude={"cells", "shapes"}),
    }
    checksums = {name: _sha256(content) for name, content in files.items()} | {HEAD_FILE: _head_sum(head)}
    head["checksums"] = checksums
    with writable(folder):
        clear_unfinished(folder)
        for name, content in files.items():
            write_atomically(folder / name, content)
        if not images:
            (folder / IMAGES_FILE).unlink(missing_ok=True)  # of the baseline that this one replaces
        write_atomically(folder / HEAD_FILE, readable(head))  # last: its checksums fit nothing half written
    return BaselineHead.model_validate(head)


def read_baseline(folder: Path) -> tuple[BaselineHead, Contents]:
    """A baseline, checked against its checksums.

    Raises:
        DamagedBaseline: cut off, edited, put together from several, or of another version.
        UserError: there is none.
    """
    if not there(folder / HEAD_FILE):
        raise UserError(f"{folder}: no baseline. Make one with `ganprune baseline accept RUN --reason TEXT`.")
    raw = _table(_text(folder / HEAD_FILE), folder / HEAD_FILE)
    version = raw.get("baseline_version")
    if version != BASELINE_VERSION:
        raise DamagedBaseline(
            f"{folder / HEAD_FILE}: has baseline version {shortened(repr(version), 40)}, this ganprune "
            f"reads {BASELINE_VERSION}. "
            "Accept a new baseline with this ganprune."
        )
    try:
        head = BaselineHead.model_validate(raw)
    except ValidationError as error:
        raise DamagedBaseline(f"{folder / HEAD_FILE}: {_first(error)}. {_MEND}") from error
    if _head_sum(raw) != head.checksums.get(HEAD_FILE):
        raise DamagedBaseline(_not_as_accepted(folder / HEAD_FILE))
    parts = {}
    for name in (CELLS_FILE, SHAPES_FILE):
        text = _text(folder / name)
        if _sha256(text.encode()) != head.checksums.get(name):
            raise DamagedBaseline(_not_as_accepted(folder / name))
        parts[name] = _table(text, folder / name)
    try:
        contents = Contents(
            experiment=head.experiment,
            cells={key: CellValues.model_validate(value) for key, value in parts[CELLS_FILE].items()},
            shapes={key: Shape.model_validate(value) for key, value in parts[SHAPES_FILE].items()},
            terms=head.terms,
            checkpoints=head.checkpoints,
            inputs=head.inputs,
            environments=head.environments,
            git=head.git,
        )
        _ = contents.places, contents.name
    except ValidationError as error:
        raise DamagedBaseline(f"{folder}: {_first(error)}. {_MEND}") from error
    except (ValueError, KeyError, TypeError) as error:  # keys that are no cells, an experiment without a name
        raise DamagedBaseline(f"{folder}: {shortened(str(error), 200)}. {_MEND}") from error
    return head, contents


def read_images(folder: Path, head: BaselineHead) -> Images:
    """What the images of a baseline contribute to its gated numbers; none of one that was accepted without them.

    Raises:
        DamagedBaseline: the file is not what was accepted.
    """
    path, expected = folder / IMAGES_FILE, head.checksums.get(IMAGES_FILE)
    if expected is None:
        return no_images
    try:
        content = read_bytes(path, LARGEST)
    except UserError as error:
        raise DamagedBaseline(f"{error} {_MEND}") from error
    if _sha256(content) != expected:
        raise DamagedBaseline(_not_as_accepted(path))
    try:
        kept = read(content)
    except ValueError as error:
        raise DamagedBaseline(f"{path}: {shortened(str(error), 200)}. {_MEND}") from error
    return lambda place, seed: kept.get((place, seed))


_MEND = "Take it again from git (`git checkout`), or accept a new one."


def _not_as_accepted(path: Path) -> str:
    return (
        f"{path}: is not what was accepted (its checksum differs): edited by hand, cut off, or of another one. {_MEND}"
    )


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def _text(path: Path) -> str:
    try:
        return read_text(path, RECORDS)
    except UserError as error:
        raise DamagedBaseline(f"{error} {_MEND}") from error


def _table(text: str, path: Path) -> dict[str, Any]:
    try:
        found = json_of(text, path)
    except UserError as error:
        raise DamagedBaseline(f"{error} {_MEND}") from error
    if not isinstance(found, dict):
        raise DamagedBaseline(f"{path}: is not a baseline, nor a part of one. {_MEND}")
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _head_sum(head: dict[str, Any]) -> str:
    rest = {key: value for key, value in head.items() if key != "checksums"}
    return _sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def readable(value: Any) -> str:
    """JSON in which whatever fits into a line stands in one line: a changed number is a changed line in a diff."""
    return _readable(value, 0, 0) + "\n"


def _readable(value: Any, indent: int, used: int) -> str:
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    scalars = isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)
    small = isinstance(value, dict | list) and indent > 1
    if not isinstance(value, dict | list) or not value or scalars or (small and indent + used + len(flat) <= LINE):
        return flat
    inner, outer = " " * (indent + 1), " " * indent
    if isinstance(value, dict):
        keys = {key: f"{json.dumps(key, ensure_ascii=False)}: " for key in value}
        lines = [f"{inner}{keys[key]}{_readable(item, indent + 1, len(keys[key]))}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    return "[\n" + ",\n".join(f"{inner}{_readable(item, indent + 1, 0)}" for item in value) + f"\n{outer}]"

"""A generator of an artefact's folder as it was judged: what `ganprune.load` gives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from bench.artifact.finishes import FINISH
from bench.artifact.folder import load_artifact, read_artifact
from bench.base.errors import UserError
from bench.base.outside import WEIGHTS, read_bytes
from bench.base.printable import shortened
from bench.base.raised import in_words


def load_shipped(folder: Path | str, factory: Callable[..., nn.Module] | None = None) -> nn.Module:
    """The generator of ``folder`` as it was judged: the finished one where it has a finish, else `load_artifact`.

    A finished network computes on the CPU and has no parameters of PyTorch's; `load_artifact` gives the one that it was
    made of.

    Raises:
        UserError: as `load_artifact`; a finish whose packages are not installed.
    """
    note = read_artifact(folder).manifest.get("finish")
    if note is None:
        return load_artifact(folder, factory)
    return _finished(Path(folder), note, lambda: load_artifact(folder, factory))


def _finished(folder: Path, note: object, unfinished: Callable[[], nn.Module]) -> nn.Module:
    """The finished network that ``note``, of the manifest, describes.

    Args:
        unfinished: makes the network that it was made of.

    Raises:
        UserError: a finish that is not known, a package that is missing, files that are not those of the manifest.
    """
    place = folder / "manifest.json"
    name = note.get("name") if isinstance(note, Mapping) else None
    if not isinstance(note, Mapping) or not isinstance(name, str) or name not in FINISH:
        raise UserError(f"{place}, finish: {shortened(repr(name), 40)} is not known here; known: {', '.join(FINISH)}.")
    finish = FINISH[name]
    if finish.missing:
        raise UserError(f"{folder}: was finished by {name}: {finish.missing}.")
    known: Any = note.get("files")
    found = {}
    for file in finish.files:
        found[file] = read_bytes(folder / file, WEIGHTS)
        if not isinstance(known, Mapping) or hashlib.sha256(found[file]).hexdigest() != known.get(file):
            raise UserError(f"{folder / file}: is not the file that {place} was written for (its hash differs).")
    try:
        return finish.load(unfinished, found).eval()
    except Exception as error:
        raise UserError(f"{folder}: {name} cannot be loaded: {in_words(error)}.") from error

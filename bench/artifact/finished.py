"""The finished network in an artefact's folder: its files beside the weights that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from typing_extensions import TypedDict

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import WEIGHTS, read_bytes
from bench.base.printable import shortened
from bench.base.raised import in_words


class FinishNote(TypedDict):
    """What a manifest says of the finish."""

    name: str
    """``bf16``, ``int8-onnx``, ``int8-openvino``."""
    version: str
    """Of the method and of the libraries that made it."""
    files: dict[str, str]
    """File beside the manifest -> SHA-256 of its bytes."""


@dataclass(frozen=True)
class FinishedFiles:
    """A finished network as it is written."""

    name: str
    version: str
    files: Mapping[str, bytes]


def write_finished(folder: Path, finished: FinishedFiles) -> FinishNote:
    """Write the files; what the manifest has to say of them."""
    for name, content in finished.files.items():
        write_atomically(folder / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in finished.files.items()}
    return {"name": finished.name, "version": finished.version, "files": hashes}


def load_finished(folder: Path, note: object, unfinished: Callable[[], nn.Module]) -> nn.Module:
    """The finished network that ``note``, of the manifest, describes.

    Args:
        unfinished: makes the network that it was made of.

    Raises:
        UserError: a finish that is not known, a package that is missing, files that are not those of the manifest.
    """
    from bench.artifact.finishes import FINISH

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

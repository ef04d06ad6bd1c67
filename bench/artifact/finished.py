"""The finished network in an artefact's folder: its files beside the weights that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from bench.base.files import write_atomically


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

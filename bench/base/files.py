"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write to a temporary file beside ``path``, flush it to disk, rename it.

    A reader sees the old file or the new one; a full disk or a killed process leaves the old one.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def check_writable(folder: Path) -> None:
    """Whether files can be made in ``folder`` or, where it is not there yet, in what it will stand in. Leaves nothing.

    Raises:
        OSError: they cannot.
    """
    place = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    with tempfile.TemporaryFile(dir=place):
        pass


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline. NaN and infinities are refused."""
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")

"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"

_OURS = re.compile(rf"\..+\.[a-z0-9_]{{8}}{re.escape(TEMPORARY)}")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write to a temporary file beside ``path``, flush it to disk, rename it.

    A reader sees the old file or the new one; a full disk or a killed process leaves the old one.

    Raises:
        OSError: it cannot be written; its ``filename`` is ``path``.
    """
    try:
        _write(path, content)
    except OSError as error:
        error.filename = str(path)  # the temporary one's tells nobody anything, and a full disk names none
        raise


def reason_of(error: OSError) -> str:
    """Why something cannot be written, in a few words."""
    known = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
    return known.get(error.errno or 0, error.strerror or str(error))


def _write(path: Path, content: bytes | str) -> None:
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(OSError):  # a file system without locks: `clear_unfinished` has none either
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def unfinished(folder: Path) -> list[Path]:
    """What `write_atomically` left in ``folder`` where its process was killed; also what one is just writing."""
    found = (path for path in folder.glob(f".*{TEMPORARY}") if _OURS.fullmatch(path.name))
    return [path for path in found if path.is_file() and not path.is_symlink()]


def clear_unfinished(*folders: Path) -> None:
    """Remove what killed processes left in ``folders``, which others may be writing to: those hold a lock."""
    for path in (path for folder in folders for path in unfinished(folder)):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


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

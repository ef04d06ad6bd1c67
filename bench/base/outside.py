"""The one way to read a file that came from outside: a regular file of a known size, never a surprise.

A fifo would wait for ever, a device never ends, a file of terabytes fills the memory: none of them is opened or read.
JSON is taken as this package writes it: no more than `DEEPEST` levels, numbers that a machine has, texts that can be
written again. Whatever a file holds, what comes of it is a value or an error with a sentence.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from bench.base.errors import UserError

MIB = 2**20
GIB = 2**30

EXPERIMENTS = MIB
"""Experiment files: written by hand; the shipped ones have four kilobytes."""

SMALL = 16 * MIB
"""Training cards, artefact manifests (with the kept indices of every layer), environments."""

RECORDS = 256 * MIB
"""Manifests (600 bytes a cell), records (with the kept indices of every layer), baselines."""

WEIGHTS = 32 * GIB
"""Trained weights; a StyleGAN2 has 0.4, the largest public generators some 4."""

DEEPEST = 64
"""Levels of lists and tables in JSON; what this package writes has ten."""

LARGEST = 2**64
"""Whole numbers in JSON are smaller: seeds and counts fit into 64 bits."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Unreadable(UserError):
    """A file that cannot be read, or must not be: missing, forbidden, no regular file, too large.

    ``reason`` says why, in a few words; ``mendable``: the next writer can put a file in its place.
    """

    def __init__(self, path: Path | str, reason: str, *, mendable: bool = False) -> None:
        self.reason, self.mendable = reason, mendable
        super().__init__(f"{path}: cannot be read ({reason}).")


class Damaged(UserError):
    """A file whose content is not what it should be. ``reason`` says why, in a few words."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: damaged, {reason}.")


def open_regular(path: Path | str, most: int) -> BinaryIO:
    """Open a regular file of at most ``most`` bytes; links are followed. Nothing else is opened at all.

    Raises:
        Unreadable: it is not there, not readable, no regular file, or larger.
    """
    try:
        _check(path, Path(path).stat(), most)
        # Between the two looks it could have been exchanged: a fifo must not hold the opening up.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(path, os.fstat(handle), most)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error), mendable=error.errno == errno.ELOOP) from error
    except ValueError as error:  # NUL in the name
        raise Unreadable(repr(str(path)), f"not a path: {error}") from error


def there(path: Path | str) -> bool:
    """Whether something lies at ``path``; also where it cannot be seen what: reading it then says why."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def check_regular(path: Path | str, most: int = WEIGHTS) -> None:
    """Raise `Unreadable` for what `open_regular` would not open: for files that a library opens by name."""
    open_regular(path, most).close()


def _check(path: Path | str, found: os.stat_result, most: int) -> None:
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise Unreadable(path, f"{kind}, not a file", mendable=not stat.S_ISDIR(found.st_mode))
    if found.st_size > most:
        raise Unreadable(path, f"{size_of(found.st_size)}, at most {size_of(most)} are read", mendable=True)


def size_of(size: int) -> str:
    """``1.5 GiB``."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}" if size < 1000 * unit else f"{size / unit:,.0f} {name}"
    return f"{size} bytes"


def read_bytes(path: Path | str, most: int) -> bytes:
    """The bytes of a regular file. Raises `Unreadable`."""
    with open_regular(path, most) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(size + 1)
            # It grew, or is one of those that do not say their size.
            while len(content) > size and (more := file.read(min(MIB, most + 1 - len(content)))):
                content += more
        except OSError as error:
            raise Unreadable(path, error.strerror or str(error)) from error
        except MemoryError as error:
            raise Unreadable(path, "larger than the memory") from error
    if len(content) > most:
        raise Unreadable(path, f"more than {size_of(most)}", mendable=True)
    return content


def read_text(path: Path | str, most: int = SMALL) -> str:
    """The text of a regular file in UTF-8, without a byte order mark. Raises `Unreadable`, `Damaged`."""
    try:
        return read_bytes(path, most).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Damaged(path, "not text") from error


def read_json(path: Path | str, most: int = SMALL) -> Any:
    """The value in a JSON file. Raises `Unreadable`, `Damaged`."""
    return json_of(read_text(path, most), path)


def read_table(path: Path | str, most: int = SMALL) -> dict[str, Any]:
    """The table in a JSON file. Raises `Unreadable`, `Damaged`: also for a list, a number or a text."""
    found = read_json(path, most)
    if not isinstance(found, dict):
        raise Damaged(path, "not a table")
    return found


def json_of(text: str, path: Path | str) -> Any:
    """The value that ``text``, of the file ``path``, is. Raises `Damaged`."""
    try:
        value = json.loads(text, parse_constant=_no_number)
        _check_values(value)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise Damaged(path, f"not JSON ({reason})") from error
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _check_values(value: Any) -> None:
    """Raise ValueError for what cannot be computed with or written again."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list:
                inner += item
            elif kind is dict:
                for key in item:
                    _check_text(key)
                inner += item.values()
            elif kind is int:
                if not -LARGEST < item < LARGEST:
                    raise ValueError("a whole number beyond 64 bits")
            elif kind is float:
                if not math.isfinite(item):
                    raise ValueError("a number that is not finite")
            elif kind is str:
                _check_text(item)
        if not inner:
            return
        level = inner
    raise ValueError(f"nested deeper than {DEEPEST} levels")


def _check_text(text: str) -> None:
    if not text.isascii():
        text.encode()  # half of a pair of surrogates cannot be written: UnicodeEncodeError is a ValueError

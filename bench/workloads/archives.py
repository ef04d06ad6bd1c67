"""Reading an .npz from outside: what its headers say is checked before any value is read, and no object ever is."""

from __future__ import annotations

import math
import stat
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.workloads.room import check_room
from bench.workloads.walk import kind_of, shown

ENDING = ".npy"

MOST_ARRAYS = 1_000

MOST_HEADER = 100_000
"""Bytes; numpy's own writes some 128."""

CHUNK = 2**24


@dataclass(frozen=True)
class Header:
    """What an array of the archive says it is."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        shape = str(self.shape) if len(self.shape) <= 6 else f"of {len(self.shape)} dimensions"
        name = "Python objects" if self.dtype.hasobject else str(self.dtype)
        return f"{shown(name)[:60]} {shape}"


class Archive:
    """The arrays of an .npz: what they are without reading them, and those that are asked for."""

    def __init__(self, path: Path, here: str) -> None:
        """Reads the headers of all arrays.

        Raises:
            UserError: no file, or none of arrays; a header that does not fit its array.
        """
        self.path = path
        self.place = f"{here}: {shown(path)}"
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            raise UserError(f"{self.place}: there is no such file ({_words(error)}).") from error
        if not stat.S_ISREG(mode):
            raise UserError(f"{self.place} is {kind_of(mode)}; expected an .npz file.")
        try:
            self._members = self._open()
            with zipfile.ZipFile(path) as archive:
                self.headers: Mapping[str, Header] = {
                    name: self._header(archive, info) for name, info in self._members.items()
                }
        except UserError:
            raise
        except Exception as error:  # whatever a damaged file makes of the modules that read it
            raise self._damaged(error) from error

    def read(self, name: str, rows: int | None = None) -> NDArray[Any]:
        """The array ``name``, or its first ``rows``.

        Raises:
            UserError: damaged, objects, or more than there is memory for.
        """
        header = self.headers[name]
        if header.dtype.hasobject:
            raise UserError(f"{self.place}, array {shown(name)!r}: Python objects, which are never read.")
        shape = header.shape
        if rows is not None and shape and not header.fortran:
            shape = (min(rows, shape[0]), *shape[1:])
        advice = "Read fewer: {source = ..., limit = 10000}." if len(shape) > 2 else "Is it what is meant?"
        check_room(math.prod(shape), (header.dtype.itemsize,), f"{self.place}, array {shown(name)!r}", advice)
        size = math.prod(shape) * header.dtype.itemsize
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._members[name]) as stream:
                _read_header(stream)
                data = _exactly(stream, size)
                if size == header.size and stream.read(1):  # asking for the end also has the checksum compared
                    raise ValueError("there are more values than its header says")
            values = np.frombuffer(data, header.dtype) if size else np.empty(0, header.dtype)
            return values.reshape(shape, order="F" if header.fortran else "C")
        except Exception as error:  # as above
            raise self._damaged(error, name) from error

    def __str__(self) -> str:
        """All arrays, in words."""
        few = [f"{shown(name)}: {header}" for name, header in list(self.headers.items())[:10]]
        return (", ".join(few) or "nothing") + (", ..." if len(self.headers) > 10 else "")

    def _open(self) -> dict[str, zipfile.ZipInfo]:
        with self.path.open("rb") as file:
            start = file.read(6)
        if start == npy.MAGIC_PREFIX:
            raise UserError(
                f"{self.place}: a single array (.npy), whatever its name is; expected an archive of arrays. "
                "Save it with np.savez."
            )
        with zipfile.ZipFile(self.path) as archive:
            infos = archive.infolist()
        if len(infos) > MOST_ARRAYS:
            raise UserError(f"{self.place}: {len(infos):,} arrays; at most {MOST_ARRAYS:,} are looked at.")
        return {info.filename.removesuffix(ENDING): info for info in infos if info.filename.endswith(ENDING)}

    def _header(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
        with archive.open(info) as stream:
            header = _read_header(stream)
            begin = stream.tell()
        name = info.filename.removesuffix(ENDING)
        if any(length < 0 for length in header.shape):
            raise UserError(f"{self.place}, array {shown(name)!r}: a shape of {header}.")
        if not header.dtype.hasobject and begin + header.size != info.file_size:
            raise UserError(
                f"{self.place}, array {shown(name)!r}: {header} of {header.size:,} bytes is what its header says, and "
                f"{max(info.file_size - begin, 0):,} are there. The file is damaged."
            )
        return header

    def _damaged(self, error: Exception, name: str = "") -> UserError:
        what = f", array {shown(name)!r}" if name else ""
        return UserError(
            f"{self.place}{what} cannot be read as an .npz of arrays ({_words(error)}). It is damaged, or of another "
            "kind; expected what np.savez writes."
        )


def _read_header(stream: IO[bytes]) -> Header:
    """Raises whatever numpy raises for a damaged one."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not known")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, fortran, dtype = read(stream, max_header_size=MOST_HEADER)
    return Header(dtype, tuple(int(length) for length in shape), bool(fortran))


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    """``size`` bytes. Raises EOFError where there are fewer: what was allocated is what was there."""
    data = bytearray()
    while len(data) < size:
        chunk = stream.read(min(CHUNK, size - len(data)))
        if not chunk:
            raise EOFError(f"{len(data):,} of {size:,} bytes are there")
        data += chunk
    return data


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(said[:300]) or type(error).__name__

"""What a command writes to, whatever the shell made of it: closed, ASCII only, full, nobody listening."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from bench.base.errors import UserError
from bench.base.files import reason_of
from bench.base.printable import printable
from bench.cli.errors import MISTAKE, complain

NOBODY = 1
"""The exit code where whoever read the output has gone: `ganprune list | head`."""


def prepare() -> None:
    """Make the three streams usable, before anything is opened or printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # else the next file to be opened would be taken for the stream
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r" if number == 0 else "w"))  # noqa: SIM115  (until the end)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            cast(Any, stream).reconfigure(errors="backslashreplace")  # an ASCII terminal shows \xb1 for a plus-minus


def check_folder() -> None:
    """Raise UserError where the working folder is gone: every relative path would be a riddle."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the working folder was deleted. Go to one that exists (cd), and call again.") from error


@contextlib.contextmanager
def clean_stderr() -> Iterator[None]:
    """What the parser of the command line says of its arguments holds them as they are: written out."""
    before = sys.stderr
    sys.stderr = cast(TextIO, _Clean(before))
    try:
        yield
    finally:
        sys.stderr = before


class _Clean:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write("\r".join(map(printable, text.split("\r"))))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def finished(code: int) -> int:
    """``code``, once all that was printed has been written; another one where it could not be."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return code or NOBODY
    except OSError as error:
        _forget_stdout()
        complain(f"standard output: cannot be written ({reason_of(error)}).")
        return code or MISTAKE
    except ValueError:  # closed by some code
        return code
    return code


def _forget_stdout() -> None:
    """Nothing more is written to it: the interpreter would complain about what is left in the buffer."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def in_words(error: OSError) -> str:
    """Where and why something could not be read or written."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return "the working folder was deleted while the command ran. Go to one that exists (cd), and call again."
    place = str(error.filename) if error.filename else "a file or stream"
    return f"{place}: {reason_of(error) if error.errno != errno.EPIPE else 'nobody reads it any more'}."
